// A server whose keyed jobs write down when they begin and end, by the clock of PostgreSQL: what the
// limits of lanes are measured by from outside. POST /work enqueues jobs of one key.
import { setTimeout as delay } from "node:timers/promises";
import {
  createForge,
  defineJob,
  defineMigration,
  defineRoute,
  fixedDelays,
  runForge,
} from "apiforge";
import { z } from "zod";

// Most of the time something runs, so a kill meets it.
const workMs = 100;
const input = z.object({ key: z.string(), n: z.int() });
type Context = Parameters<Parameters<typeof defineJob<typeof input>>[1]["run"]>[0];

async function observed(context: Context): Promise<void> {
  const { id, attempt } = context;
  const { key, n } = context.input;
  await forge.durable.transact("begin", context, async (tx) => {
    await tx.sql`insert into runs (job, key, n, pid, phase) values (${id}, ${key}, ${n}, ${process.pid}, ${"begin"})`;
  });
  await delay(workMs);
  // What fails first shows whether it keeps its place.
  if (attempt === 1 && n % 5 === 0) {
    await forge.durable.transact("fail", context, async (tx) => {
      await tx.sql`insert into runs (job, key, n, pid, phase) values (${id}, ${key}, ${n}, ${process.pid}, ${"failed"})`;
    });
    throw new Error("The first attempt fails");
  }
  await context.complete(async (tx) => {
    await tx.sql`insert into runs (job, key, n, pid, phase) values (${id}, ${key}, ${n}, ${process.pid}, ${"end"})`;
  });
}

const common = {
  input,
  run: observed,
  key: (job: { readonly key: string }) => job.key,
  backoff: fixedDelays([50]),
};
const narrow = defineJob("narrow", { ...common, lane: { concurrency: 2 } });
const line = defineJob("line", { ...common, lane: { ordered: true } });

const work = defineRoute({
  method: "POST",
  path: "/work",
  auth: "none",
  body: z.object({ ordered: z.boolean(), key: z.string(), jobs: z.int() }),
  replies: { 202: null },
  handler: async ({ body, tx }) => {
    const { key } = body;
    for (let n = 0; n < body.jobs; n += 1) {
      await tx.enqueue(body.ordered ? line : narrow, { key, n });
    }
    return { status: 202 };
  },
});

const runs = `create table runs (
  seq bigint generated always as identity primary key,
  job text not null, key text not null, n integer not null, pid integer not null,
  phase text not null,
  at double precision not null default extract(epoch from clock_timestamp()) * 1000
)`;

const forge = await createForge({
  routes: [work],
  jobs: [narrow, line],
  migrations: [defineMigration("runs-0001", { sqlite: "", postgres: runs })],
});
await runForge(forge);
