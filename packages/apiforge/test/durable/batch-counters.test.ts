import { fuzzOptions } from "@apiforge/testing/models";
import type { StoreFixture } from "@apiforge/testing/contracts";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { defineBatch } from "../../src/durable/index.ts";
import { fixedDelays, nonRetriable } from "../../src/resilience/index.ts";
import type { Store } from "../../src/store/index.ts";
import { storeFixtures } from "../store/fixtures.ts";
import { message, someMessages, submit } from "./batch-fixtures.ts";
import { actor, Harness } from "./harness.ts";

/** What the attempts of one item do, first first; every later one succeeds. */
type Script = readonly ("succeeds" | "fails" | "fails for good" | "waits")[];

const script: fc.Arbitrary<Script> = fc.array(
  fc.constantFrom("succeeds", "fails", "fails for good", "waits"),
  { maxLength: 4 },
);

const scenario = fc.record({
  scripts: fc.array(script, { minLength: 1, maxLength: 40 }),
  chunkItems: fc.integer({ min: 1, max: 9 }),
  chunksAtOnce: fc.integer({ min: 1, max: 4 }),
  concurrency: fc.integer({ min: 1, max: 5 }),
  attempts: fc.integer({ min: 1, max: 3 }),
  /** Seconds after which it is cancelled. */
  cancelledAfter: fc.option(fc.integer({ min: 0, max: 8 }), { nil: undefined }),
  /** Seconds after which its process counts as dead, though it goes on. */
  lostAfter: fc.option(fc.integer({ min: 0, max: 8 }), { nil: undefined }),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer Played> ? Played : never;

describe.for(storeFixtures)("$name", (fixture) => {
  test("whatever becomes of the items, the counters are what their outcomes add up to, at every commit", async () => {
    await fc.assert(
      fc.asyncProperty(scenario, (one) => play(fixture, one)),
      fuzzOptions(fixture.persistent ? 6 : 60),
    );
  }, 120_000);
});

async function play(fixture: StoreFixture, one: Scenario): Promise<void> {
  await using harness = await Harness.open(fixture);
  const { scripts, cancelledAfter, lostAfter, ...options } = one;
  const definition = defineBatch("messages", {
    item: message,
    backoff: fixedDelays(["1s"]),
    ...options,
    async run({ index, attempt, signal }) {
      const step = scripts[index]?.[attempt - 1] ?? "succeeds";
      if (step === "fails") throw new Error("fails");
      if (step === "fails for good") throw nonRetriable("fails");
      if (step === "waits") await wait(harness, 1_500, signal);
    },
  });
  const problems: unknown[] = [];
  const { durable } = await harness.started({
    batches: [definition],
    store: checked(harness.store, problems),
  });
  const id = await submit(durable, definition, someMessages(scripts.length));
  for (let second = 0; second < 400; second++) {
    if (second === cancelledAfter) {
      await durable.transact("cancel", actor, (tx) => tx.batches.cancel(id));
    }
    if (second === lostAfter) await harness.store.workers.recoverExpired(-1);
    await harness.idle();
    const batch = await durable.batches.find(id);
    if (batch?.finishedAt !== null && batch !== undefined) break;
    await harness.advance(1_000);
  }
  const batch = await durable.batches.find(id);
  expect(batch?.finishedAt).not.toBeNull();
  const { total = 0, succeeded = 0, failed = 0, cancelled = 0 } = batch ?? {};
  expect(succeeded + failed + cancelled).toBe(total);
  if (batch?.cancelledAt === null) expect(cancelled).toBe(0);
  await checkCounters(harness.store);
  expect(problems).toEqual([]);
}

function wait(harness: Harness, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = harness.open.clock.after(ms, resolve);
    signal.addEventListener("abort", () => {
      timer.cancel();
      reject(new Error("aborted"));
    });
  });
}

/** `store`, looked at after each of its commits; what is found goes into `problems`. */
function checked(store: Store, problems: unknown[]): Store {
  const { dialect, capabilities, jobs, queues, workers, events } = store;
  const { idempotency, batches, rates, schedules, quotas, upstreamCalls } = store;
  return {
    ...{ dialect, capabilities, jobs, queues, workers, events },
    ...{ idempotency, batches, rates, schedules, quotas, upstreamCalls },
    async transact(label, work) {
      const committed = await store.transact(label, work);
      await checkCounters(store).catch((error: unknown) => problems.push(error));
      return committed;
    },
    read: (label, work, tenant) => store.read(label, work, tenant),
    figures: () => store.figures(),
    work: () => store.work(),
    check: () => store.check(),
    close: () => store.close(),
  };
}

/** Compares the counters of every batch with its outcomes, on one snapshot. */
async function checkCounters(store: Store): Promise<void> {
  const rows = await store.read("counters", (reader) =>
    reader.query({
      texts: [
        `select batch.succeeded, batch.failed, batch.closed_chunks, outcome.outcomes, outcome.closed,
           outcome.succeeded as chunk_succeeded, outcome.failed as chunk_failed
         from forge_batches batch left join forge_batch_outcomes outcome on outcome.batch_id = batch.id`,
      ],
      values: [],
    }),
  );
  const sums = { succeeded: 0, failed: 0, closed: 0 };
  for (const row of rows) {
    if (typeof row["outcomes"] !== "string") continue;
    const kinds = (JSON.parse(row["outcomes"]) as ([number] | null)[]).map((one) => one?.[0]);
    const succeeded = kinds.filter((kind) => kind === 1).length;
    const failed = kinds.filter((kind) => kind === 2).length;
    expect([Number(row["chunk_succeeded"]), Number(row["chunk_failed"])]).toEqual([
      succeeded,
      failed,
    ]);
    sums.succeeded += succeeded;
    sums.failed += failed;
    sums.closed += Number(row["closed"]);
  }
  const [batch] = rows;
  if (batch === undefined) return;
  expect({
    succeeded: Number(batch["succeeded"]),
    failed: Number(batch["failed"]),
    closed: Number(batch["closed_chunks"]),
  }).toEqual(sums);
}
