// A server whose jobs write down what they did. POST /work enqueues many of one kind in one commit:
// of these every second one commits its row together with its completion, the others only return.
import { setTimeout as delay } from "node:timers/promises";
import { createForge, defineJob, defineMigration, defineRoute, runForge } from "apiforge";
import { z } from "zod";

const workMs = 5;

const count = defineJob("count", {
  input: z.object({ n: z.int() }),
  run: async (context) => {
    const { id } = context;
    const { n } = context.input;
    await delay(workMs);
    if (n % 2 === 0) return;
    await context.complete(async (tx) => {
      await tx.sql`insert into counted (job, n, pid) values (${id}, ${n}, ${process.pid})`;
    });
  },
});

const work = defineRoute({
  method: "POST",
  path: "/work",
  auth: "none",
  body: z.object({ jobs: z.int() }),
  replies: { 202: null },
  handler: async ({ body, tx }) => {
    for (let n = 0; n < body.jobs; n += 1) await tx.enqueue(count, { n });
    return { status: 202 };
  },
});

const counted =
  "create table counted (job text not null, n integer not null, pid integer not null)";

const forge = await createForge({
  routes: [work],
  jobs: [count],
  migrations: [defineMigration("counted-0001", { sqlite: counted, postgres: counted })],
});
await runForge(forge);
