// A server that runs batches whose items fail, are tried again and take as long as their fields say,
// and that writes down each run of an item, so that a test can tell what happened to every one.
import { setTimeout as delay } from "node:timers/promises";
import {
  batchBody,
  createForge,
  defineBatch,
  defineMigration,
  defineRoute,
  fixedDelays,
  nonRetriable,
  runForge,
  type BatchRecord,
} from "apiforge";
import { z } from "zod";

const item = z.object({ n: z.number(), waitMs: z.number() });

/** Every tenth item fails for good, every tenth fails once. */
const work = defineBatch("work", {
  item,
  chunkItems: 50,
  concurrency: 20,
  backoff: fixedDelays(["50ms"]),
  async run({ item: { n, waitMs }, attempt, index, signal }) {
    if (n !== index) throw nonRetriable(`Item ${index} is ${n}`);
    if (waitMs > 0) await delay(waitMs, undefined, { signal });
    if (n % 10 === 3) throw nonRetriable("fails for good");
    if (n % 10 === 7 && attempt === 1) throw new Error("fails once");
    return { n };
  },
  // The unique key makes a second count of one item a failed commit.
  async onItem(tx, { index, status }) {
    await tx.sql`insert into counted (n, status) values (${index}, ${status})`;
  },
});

const status = z.object({ id: z.string(), status: z.string(), processed: z.number() });

function shown({ id, state, succeeded, failed }: BatchRecord) {
  return { id, status: state, processed: succeeded + failed };
}

const submit = defineRoute({
  method: "POST",
  path: "/batches",
  auth: "none",
  idempotency: "required",
  body: batchBody(work, { field: "items" }),
  replies: { 202: status },
  handler: async ({ body, tx }) => ({ status: 202, body: shown(await tx.batches.start(body)) }),
});

const show = defineRoute({
  method: "GET",
  path: "/batches/:id",
  auth: "none",
  replies: { 200: status, 404: null },
  handler: async ({ params, tx }) => {
    const batch = await tx.batches.find(params.id);
    return batch === undefined ? { status: 404 } : { status: 200, body: shown(batch) };
  },
});

const forge = await createForge({
  routes: [submit, show],
  batches: [work],
  migrations: [
    defineMigration("counted-0001", "create table counted (n integer primary key, status text)"),
  ],
});
await runForge(forge);
