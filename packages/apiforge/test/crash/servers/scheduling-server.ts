// A server with a schedule that ticks every second. Its job records the tick that it ran for.
import { createForge, defineJob, defineMigration, defineSchedule, runForge } from "apiforge";
import { z } from "zod";

const record = defineJob("record", {
  input: z.object({ fireAt: z.number() }),
  run: ({ id, input, complete }) =>
    complete(async (tx) => {
      await tx.sql`insert into runs (job, fire_at) values (${id}, ${input.fireAt})`;
    }),
});

const everySecond = defineSchedule("every-second", {
  cron: "* * * * * *",
  job: record,
  input: ({ fireAt }) => ({ fireAt }),
  catchUp: { atMost: 2 },
  grace: "1s",
});

const forge = await createForge({
  jobs: [record],
  schedules: [everySecond],
  migrations: [
    defineMigration(
      "runs-0001",
      "create table runs (job text primary key, fire_at bigint not null)",
    ),
  ],
});
await runForge(forge);
