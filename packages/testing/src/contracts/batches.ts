import { newId } from "apiforge/internal/kernel";
import type {
  BatchProgress,
  BatchRecord,
  ChunkProgress,
  NewChunk,
  Store,
  StoreTransaction,
} from "apiforge/internal/store";
import { expect, test } from "vitest";
import type { StoreFixture } from "./fixture.ts";
import { addJob, sampleJob } from "./samples.ts";

/** Registers the tests of batches: staging, opening, recording, cancelling and sweeping. */
export function batchesContract(fixture: StoreFixture): void {
  test("a staged batch is invisible until it is opened, in one commit with what opens it", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await stage(store, 3);
    expect(await store.batches.find(id)).toBeUndefined();
    const rolledBack = store.transact("open", async (tx) => {
      expect(await tx.batches.open(opening(id, 3))).toBe(true);
      throw new Error("no");
    });
    await expect(rolledBack).rejects.toThrow("no");
    expect(await store.batches.find(id)).toBeUndefined();
    expect(await openStaged(store, id, 3)).toBe(true);
    expect(await store.batches.find(id)).toEqual({
      id,
      type: "messages",
      tenant: "ten_1",
      owner: "usr_1",
      state: "queued",
      total: 30,
      succeeded: 0,
      failed: 0,
      cancelled: 0,
      createdAt: open.clock.now(),
      startedAt: null,
      cancelledAt: null,
      finishedAt: null,
      requestId: "req_1",
    } satisfies BatchRecord);
  });

  test("a batch is opened once, and never without all of its chunks", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await stage(store, 3);
    expect(await openStaged(store, id, 4)).toBe(false);
    expect(await openStaged(store, id, 3)).toBe(true);
    expect(await openStaged(store, id, 3)).toBe(false);
    expect(await openStaged(store, "batch_none", 0)).toBe(false);
  });

  test("what is discarded cannot be opened; what is open cannot be discarded", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await stage(store, 1);
    await store.batches.discard(id);
    expect(await openStaged(store, id, 1)).toBe(false);
    const other = await opened(store, 1);
    await store.batches.discard(other);
    await sweepAll(store, 0);
    expect(await store.batches.find(other)).toMatchObject({ state: "queued" });
  });

  test("a chunk is read with its items and what was recorded of it last", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await opened(store, 2);
    expect(await store.batches.loadChunk(id, 1)).toMatchObject({
      position: 1,
      firstIndex: 10,
      itemCount: 10,
      items: itemsText(1),
      closed: false,
      outcomes: undefined,
      batch: { id, state: "queued" },
    });
    await record(store, { batchId: id, position: 1, outcomes: "[1]", succeeded: 1 });
    await record(store, {
      batchId: id,
      position: 1,
      outcomes: "[1,2]",
      succeeded: 2,
      closes: true,
    });
    expect(await store.batches.loadChunk(id, 1)).toMatchObject({ outcomes: "[1,2]", closed: true });
    expect(await store.batches.loadChunk(id, 2)).toBeUndefined();
    expect(await store.batches.loadChunk("batch_none", 0)).toBeUndefined();
  });

  test("counters grow by what is new, and the last chunk ends the batch", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await opened(store, 2);
    await open.advance(50);
    const first = await record(store, { batchId: id, newlySucceeded: 4, newlyFailed: 1 });
    expect(first).toMatchObject({
      batch: { state: "in_progress", succeeded: 4, failed: 1, startedAt: open.clock.now() },
      next: undefined,
    });
    await record(store, { batchId: id, newlySucceeded: 5, closes: true });
    await open.advance(50);
    const last = await record(store, { batchId: id, position: 1, newlyFailed: 10, closes: true });
    expect(last?.batch).toMatchObject({
      state: "completed",
      succeeded: 9,
      failed: 11,
      cancelled: 0,
      finishedAt: open.clock.now(),
    });
    expect(await store.batches.find(id)).toEqual(last?.batch);
  });

  test("a batch whose items have all failed has failed", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await opened(store, 1);
    const last = await record(store, { batchId: id, newlyFailed: 10, closes: true });
    expect(last?.batch.state).toBe("failed");
  });

  test("each chunk is taken once, in order, until none is left", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await opened(store, 4, 2);
    const taken = await Promise.all(
      [0, 1].map((position) => record(store, { batchId: id, position, takesNext: true })),
    );
    expect(new Set(taken.map((progress) => progress?.next))).toEqual(new Set([2, 3]));
    const none = await record(store, { batchId: id, position: 2, takesNext: true });
    expect(none?.next).toBeUndefined();
  });

  test("a rolled back record has counted nothing and taken nothing", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await opened(store, 2);
    const undone = store.transact("record", async (tx) => {
      await tx.batches.record(progressOf({ batchId: id, newlySucceeded: 3, takesNext: true }));
      throw new Error("no");
    });
    await expect(undone).rejects.toThrow("no");
    expect(await store.batches.find(id)).toMatchObject({ state: "queued", succeeded: 0 });
    const progress = await record(store, { batchId: id, takesNext: true });
    expect(progress?.next).toBe(1);
  });

  test("a report is due once a second", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await opened(store, 2);
    const isDue = async () => (await record(store, { batchId: id }))?.reportDue;
    expect([await isDue(), await isDue()]).toEqual([true, false]);
    await open.advance(999);
    expect(await isDue()).toBe(false);
    await open.advance(1);
    expect([await isDue(), await isDue()]).toEqual([true, false]);
  });

  test("a cancelled batch gives out no chunk, and ends with the last one that was taken", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await opened(store, 4, 2);
    await record(store, { batchId: id, newlySucceeded: 3 });
    expect(await cancel(store, id)).toMatchObject({
      state: "cancelled",
      cancelledAt: open.clock.now(),
      finishedAt: null,
      cancelled: 0,
    });
    const first = await record(store, { batchId: id, closes: true, takesNext: true });
    expect(first).toMatchObject({ next: undefined, batch: { finishedAt: null } });
    const last = await record(store, { batchId: id, position: 1, newlyFailed: 2, closes: true });
    expect(last?.batch).toMatchObject({
      state: "cancelled",
      succeeded: 3,
      failed: 2,
      cancelled: 35,
      finishedAt: open.clock.now(),
    });
    expect(await cancel(store, id)).toEqual(last?.batch);
  });

  test("cancelling leaves one that has ended as it is, and finds none that is not open", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await opened(store, 1);
    await record(store, { batchId: id, newlySucceeded: 10, closes: true });
    expect(await cancel(store, id)).toMatchObject({ state: "completed", cancelledAt: null });
    expect(await cancel(store, await stage(store, 1))).toBeUndefined();
    expect(await cancel(store, "batch_none")).toBeUndefined();
  });

  test("the delayed jobs of one batch are made due, and no other", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const delayed = { type: "batch:messages", queue: "batches", delayMs: 60_000 };
    await addJob(store, { ...delayed, dedupeKey: "batch_a:0" });
    await addJob(store, { ...delayed, dedupeKey: "batch_b:0" });
    await addJob(store, { ...delayed, type: "batch:others", dedupeKey: "batch_a:0" });
    await store.transact("hasten", (tx) => tx.batches.hasten("batch:messages", "batch_a:"));
    const due = await store.jobs.claim("batches", "wrk_1", 10);
    expect(due).toHaveLength(1);
    const waiting = await store.jobs.list({ state: "scheduled", limit: 10 });
    expect(waiting.map(({ type, dedupeKey }) => [type, dedupeKey])).toEqual([
      ["batch:others", "batch_a:0"],
      ["batch:messages", "batch_b:0"],
    ]);
  });

  test("dead jobs of the types that are asked for are found and removed", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await addJob(store, { type: "batch:messages", payload: '{"n":1}' });
    await addJob(store, { type: "other" });
    const settlements = (await store.jobs.claim("mail", "wrk_1", 10)).map(({ n, fence }) => ({
      outcome: "dead" as const,
      error: "x",
      n,
      fence,
    }));
    await store.jobs.settle(settlements);
    const [dead, ...others] = await store.batches.deadJobs(["batch:messages", "batch:x"], 10);
    expect(others).toEqual([]);
    expect(dead).toMatchObject({ type: "batch:messages", tenant: "ten_1", payload: '{"n":1}' });
    const remove = () => store.transact("remove", (tx) => tx.batches.removeDeadJob(dead?.n ?? 0));
    expect([(await remove()).value, (await remove()).value]).toEqual([true, false]);
    expect(await store.jobs.find(id)).toBeUndefined();
  });

  test("a batch is swept in small steps once its retention is over", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await opened(store, 5);
    for (let position = 0; position < 5; position++) {
      await record(store, { batchId: id, position, newlySucceeded: 10, closes: true });
    }
    await open.advance(60_000);
    expect(await store.batches.sweep(1_000, 2)).toBe(0);
    await open.advance(1);
    expect(await store.batches.sweep(1_000, 2)).toBe(4);
    await sweepAll(store, 1_000);
    expect(await store.batches.find(id)).toBeUndefined();
    expect(await store.batches.loadChunk(id, 4)).toBeUndefined();
    expect(await record(store, { batchId: id })).toBeUndefined();
  });

  test("a staged batch is swept when nothing was added to it for long", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await stage(store, 2);
    await open.advance(1_000);
    await store.transact("stage", (tx) => tx.batches.stage(batchOf(id), [chunk(2)]));
    await open.advance(1_000);
    await sweepAll(store, 1_000);
    expect(await openStaged(store, id, 3)).toBe(true);
    const other = await stage(store, 2);
    await open.advance(1_001);
    await sweepAll(store, 1_000);
    expect(await openStaged(store, other, 2)).toBe(false);
  });

  test("a held job keeps its owner until the transaction ends; a lost one is not held", async () => {
    await using open = await fixture.open();
    const { store } = open;
    await store.workers.register("wrk_1");
    await store.transact("add", async (tx) => tx.insertJob(sampleJob()));
    const [job] = await store.jobs.claim("mail", "wrk_1", 1);
    const lease = { n: job?.n ?? 0, fence: job?.fence ?? 0 };
    const holds = async (tx: StoreTransaction) => tx.holdJob(lease);
    expect((await store.transact("hold", holds)).value).toBe(true);
    await store.workers.unregister("wrk_1");
    expect((await store.transact("hold", holds)).value).toBe(false);
  });
}

const itemsPerChunk = 10;
const retentionMs = 60_000;

function itemsText(position: number): string {
  const items = Array.from({ length: itemsPerChunk }, (_, n) => ({ n: position * 10 + n }));
  return JSON.stringify(items);
}

function chunk(position: number): NewChunk {
  return {
    position,
    firstIndex: position * itemsPerChunk,
    itemCount: itemsPerChunk,
    items: itemsText(position),
  };
}

function batchOf(id: string) {
  return { id, type: "messages", tenant: "ten_1", requestId: "req_1" };
}

/** Stages a batch of `chunks` chunks, one commit each, and answers its id. */
async function stage(store: Store, chunks: number): Promise<string> {
  const id = newId("batch");
  for (let position = 0; position < chunks; position++) {
    await store.transact("stage", (tx) => tx.batches.stage(batchOf(id), [chunk(position)]));
  }
  return id;
}

function opening(id: string, chunks: number, taken = 1) {
  return { id, owner: "usr_1", total: chunks * itemsPerChunk, chunks, taken };
}

async function openStaged(store: Store, id: string, chunks: number, taken = 1): Promise<boolean> {
  const { value } = await store.transact("open", (tx) =>
    tx.batches.open(opening(id, chunks, taken)),
  );
  return value;
}

async function opened(store: Store, chunks: number, taken = 1): Promise<string> {
  const id = await stage(store, chunks);
  await openStaged(store, id, chunks, taken);
  return id;
}

type Differences = Partial<ChunkProgress> & { readonly batchId: string };

function progressOf(differences: Differences): ChunkProgress {
  return {
    position: 0,
    outcomes: "[]",
    succeeded: 0,
    failed: 0,
    newlySucceeded: 0,
    newlyFailed: 0,
    closes: false,
    takesNext: false,
    retentionMs,
    ...differences,
  };
}

async function record(store: Store, differences: Differences): Promise<BatchProgress | undefined> {
  const progress = progressOf(differences);
  return (await store.transact("record", (tx) => tx.batches.record(progress))).value;
}

async function cancel(store: Store, id: string): Promise<BatchRecord | undefined> {
  return (await store.transact("cancel", (tx) => tx.batches.cancel(id))).value;
}

async function sweepAll(store: Store, abandonedMs: number): Promise<void> {
  while ((await store.batches.sweep(abandonedMs, 2)) > 0);
}
