import { hash, randomUUID } from "node:crypto";
import { z } from "zod";

import {
  defineBatch,
  defineEvent,
  defineJob,
  defineSchedule,
  type Answer,
  type Durable,
  type Transaction,
  type WriteRequest,
} from "../../src/durable/index.ts";

const tenants = ["ten_a", "ten_b", "ten_c"];
const batchItems = 500;
/** Enough to be kept as one row where the store does that. */
const alikeJobs = 20;

const noted = defineEvent("note.added", z.object({ id: z.string() }));
const plain = defineJob("plain", {
  input: z.object({ id: z.string() }),
  run: async ({ complete }) => complete(async () => undefined),
});
const keyed = defineJob("keyed", {
  input: z.object({ id: z.string() }),
  key: ({ id }) => id.slice(0, 2),
  lane: { concurrency: 2 },
  attempts: 3,
  run: async ({ attempt, input }) => {
    if (attempt === 1 && input.id.endsWith("0")) throw new Error("fails once");
  },
});
const alike = defineJob("alike", {
  input: z.object({ n: z.number() }),
  run: async () => undefined,
});
const tick = defineSchedule("tick", { cron: "* * * * *", job: plain, input: { id: "tick" } });

/** A batch whose items do nothing. */
const bulk = defineBatch("bulk", {
  item: z.object({ n: z.number() }),
  run: async ({ item }) => ({ n: item.n }),
  retention: "2m",
});

/** What the soak declares. */
export const definitions = { jobs: [plain, keyed, alike], schedules: [tick], batches: [bulk] };

/** One request: a row's worth of event, two jobs and the recorded answer; every tenth is a repetition. */
export async function addNote(durable: Durable, key: string): Promise<void> {
  await durable.execute(request(key));
  if (key.endsWith("0")) await durable.execute(request(key));
}

/** Jobs of one kind in one commit. */
export async function addAlike(durable: Durable): Promise<void> {
  const actor = { tenant: tenantOf(randomUUID()), requestId: "req_soak" };
  await durable.transact("alike", actor, async (tx) => {
    for (let n = 0; n < alikeJobs; n++) await tx.enqueue(alike, { n });
  });
}

/** One batch, accepted; its items run by themselves. */
export async function addBatch(durable: Durable): Promise<void> {
  const actor = { tenant: tenantOf(randomUUID()), requestId: "req_soak" };
  const items = Array.from({ length: batchItems }, (_, n) => ({ n }));
  const staged = await durable.batches.stage(bulk, items, actor);
  await durable.transact("batch", actor, (tx) => tx.batches.start(staged, { owner: "usr_soak" }));
}

function request(key: string): WriteRequest {
  return {
    label: "POST /notes",
    tenant: tenantOf(key),
    requestId: "req_soak",
    idempotency: { key, digest: digest(key), fingerprint: digest("content") },
    run: (tx) => run(tx, key),
    refuse: () => undefined,
  };
}

async function run(tx: Transaction, id: string): Promise<Answer> {
  tx.emit(noted, { id });
  await tx.enqueue(plain, { id });
  await tx.enqueue(keyed, { id });
  return { status: 201, headers: { "content-type": "application/json" }, body: `{"id":"${id}"}` };
}

function digest(text: string): Buffer {
  return hash("sha256", text, "buffer").subarray(0, 16);
}

function tenantOf(key: string): string {
  return tenants[digest(key).readUInt8(0) % tenants.length] ?? "ten_a";
}
