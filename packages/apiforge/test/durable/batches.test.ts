import { until } from "@apiforge/testing";
import { describe, expect, test } from "vitest";

import type { BatchItemContext, Durable, Transaction } from "../../src/durable/index.ts";
import { fixedDelays, nonRetriable, retryAfter } from "../../src/resilience/index.ts";
import { storeFixtures } from "../store/fixtures.ts";
import {
  allItems,
  batchOf,
  messages,
  someMessages,
  submit,
  tally,
  type Message,
} from "./batch-fixtures.ts";
import { actor, Harness } from "./harness.ts";

type Context = BatchItemContext<Message>;

/** A handler whose items wait until the test lets them go. */
function gated() {
  const waiting: { readonly context: Context; readonly go: () => void }[] = [];
  const run = (context: Context): Promise<void> =>
    new Promise((resolve, reject) => {
      waiting.push({ context, go: resolve });
      context.signal.addEventListener("abort", () => reject(context.signal.reason as Error));
    });
  return { waiting, run };
}

describe.for(storeFixtures)("a batch on $name", (fixture) => {
  test("runs every item once and keeps its result", async () => {
    await using harness = await Harness.open(fixture);
    const definition = messages();
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(95));
    await harness.idle();
    expect(await batchOf(durable, id)).toMatchObject({
      state: "completed",
      total: 95,
      succeeded: 95,
      failed: 0,
      cancelled: 0,
      owner: "usr_1",
    });
    const items = await allItems(durable, id);
    expect(items.map(({ index }) => index)).toEqual([...Array(95).keys()]);
    expect(items[94]).toEqual({
      index: 94,
      item: { to: "to94", body: "hello" },
      status: "succeeded",
      attempts: 1,
      result: { sent: "to94" },
      error: null,
    });
  });

  test("gives an item the same key on every attempt and repeats only what failed", async () => {
    await using harness = await Harness.open(fixture);
    const seen: Context[] = [];
    const definition = messages({
      backoff: fixedDelays(["10s"]),
      run: async (context) => {
        seen.push(context);
        if (context.index === 3 && context.attempt < 3) throw new Error("try again");
        return null;
      },
    });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(25));
    await harness.idle();
    expect(await batchOf(durable, id)).toMatchObject({ state: "in_progress", succeeded: 24 });
    const [waiting] = await durable.read("items", ({ batches }) =>
      batches.items(id, { status: "pending", limit: 10 }),
    );
    expect(waiting).toMatchObject({ index: 3, attempts: 1, error: { message: "try again" } });
    await harness.advance(20_000);
    expect(await batchOf(durable, id)).toMatchObject({ state: "completed", succeeded: 25 });
    const attempts = seen.filter(({ index }) => index === 3);
    expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(new Set(attempts.map(({ idempotencyKey }) => idempotencyKey))).toEqual(
      new Set([`${id}:3`]),
    );
    expect(seen).toHaveLength(27);
  });

  test("fails an item at once when no retry can help, else after its attempts", async () => {
    await using harness = await Harness.open(fixture);
    let runs = 0;
    const definition = messages({
      attempts: 2,
      backoff: fixedDelays(["1s"]),
      run: async ({ index }) => {
        runs += 1;
        if (index === 0) throw nonRetriable("No such number");
        if (index === 1) throw new Error("down");
      },
    });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(12));
    await harness.advance(2_000);
    expect(await batchOf(durable, id)).toMatchObject({
      state: "completed",
      succeeded: 10,
      failed: 2,
    });
    const failed = await durable.read("items", ({ batches }) =>
      batches.items(id, { status: "failed", limit: 10 }),
    );
    expect(failed).toMatchObject([
      { index: 0, attempts: 1, error: { code: "job_not_retriable", message: "No such number" } },
      { index: 1, attempts: 2, error: { code: "item_failed", message: "down" } },
    ]);
    expect(runs).toBe(13);
  });

  test("waits as long as an item's error asks", async () => {
    await using harness = await Harness.open(fixture);
    const definition = messages({
      backoff: fixedDelays(["1s"]),
      run: async ({ attempt }) => {
        if (attempt === 1) throw retryAfter("30s", "slow down");
      },
    });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(1));
    await harness.advance(29_000);
    expect(await batchOf(durable, id)).toMatchObject({ state: "in_progress", succeeded: 0 });
    await harness.advance(2_000);
    expect(await batchOf(durable, id)).toMatchObject({ state: "completed" });
  });

  test("whose items all fail has failed", async () => {
    await using harness = await Harness.open(fixture);
    const definition = messages({ run: () => Promise.reject(nonRetriable("no")) });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(11));
    await harness.idle();
    expect(await batchOf(durable, id)).toMatchObject({ state: "failed", failed: 11 });
  });

  test("commits what has ended while slow items go on", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const definition = messages({ run });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(10));
    await until("the items to run", () => waiting.length === 10);
    for (const { go } of waiting.slice(0, 4)) go();
    await harness.advance(1_000);
    expect(await batchOf(durable, id)).toMatchObject({ state: "in_progress", succeeded: 4 });
    expect(tally(await allItems(durable, id))).toEqual({ succeeded: 4, pending: 6 });
    for (const { go } of waiting) go();
    await harness.idle();
    expect(await batchOf(durable, id)).toMatchObject({ state: "completed", succeeded: 10 });
  });

  test("gives the rest of a slow chunk to a later job, behind the other jobs", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const definition = messages({ run, concurrency: 2 });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(10));
    for (let ended = 0; ended < 10; ended += 2) {
      await until("two items to run", () => waiting.length === ended + 2);
      await harness.advance(3_000);
      for (const { go } of waiting.slice(ended)) go();
      await harness.idle();
    }
    expect(await batchOf(durable, id)).toMatchObject({ state: "completed", succeeded: 10 });
    expect(waiting).toHaveLength(10);
    const jobs = await harness.store.jobs.list({ limit: 100 });
    expect(jobs.map(({ state, attempt }) => [state, attempt])).toEqual(
      Array.from({ length: 3 }, () => ["completed", 1]),
    );
  });

  test("gives up an attempt of an item that takes too long", async () => {
    await using harness = await Harness.open(fixture);
    const signals: AbortSignal[] = [];
    const definition = messages({
      attempts: 1,
      timeout: "3s",
      run: ({ signal, index }) => {
        if (index > 0) return Promise.resolve();
        signals.push(signal);
        return Promise.withResolvers<void>().promise;
      },
    });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(2));
    await harness.advance(5_000);
    expect(await batchOf(durable, id)).toMatchObject({ state: "completed", failed: 1 });
    expect((await allItems(durable, id))[0]?.error?.code).toBe("batch_item_timeout");
    expect(signals[0]?.aborted).toBe(true);
  });

  test("keeps no result that is too large or cannot be written", async () => {
    await using harness = await Harness.open(fixture);
    const definition = messages({
      attempts: 1,
      run: async ({ index }) => (index === 0 ? "x".repeat(20_000) : 1n),
    });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(2));
    await harness.idle();
    const items = await allItems(durable, id);
    expect(items.map(({ error }) => error?.code)).toEqual([
      "batch_result_too_large",
      "item_failed",
    ]);
  });

  test("has effects of items and of its end in the commits that count them", async () => {
    await using harness = await Harness.open(fixture);
    const note = (tx: Transaction, id: string) =>
      tx.sql`insert into note (id, body) values (${id}, ${"x"})`;
    const definition = messages({
      run: async ({ index }) => {
        if (index === 7) throw nonRetriable("no");
        return index;
      },
      onItem: async (tx, { index, status }) => void (await note(tx, `${index} ${status}`)),
      onComplete: async (tx, { succeeded }) => void (await note(tx, `ended ${succeeded}`)),
    });
    const { durable } = await harness.started({ batches: [definition] });
    await submit(durable, definition, someMessages(25));
    await harness.idle();
    const notes = await durable.read(
      "notes",
      ({ sql }) => sql<{ id: string }>`select id from note`,
    );
    expect(notes.map(({ id }) => id).toSorted()).toEqual(
      [
        ...Array.from({ length: 25 }, (_, n) => `${n} ${n === 7 ? "failed" : "succeeded"}`),
        "ended 24",
      ].toSorted(),
    );
    const events = await harness.store.events.read(0, 100);
    expect(events.map(({ type }) => type)).toEqual([
      "batch.accepted",
      "batch.progress",
      "batch.completed",
    ]);
    expect(JSON.parse(events.at(-1)?.data ?? "")).toMatchObject({ state: "completed", failed: 1 });
  });

  test("is listed by status, page by page", async () => {
    await using harness = await Harness.open(fixture);
    const definition = messages({
      run: async ({ index }) => {
        if (index % 20 === 0) throw nonRetriable("no");
      },
    });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(195));
    await harness.idle();
    const page = async (after: number | undefined) =>
      (
        await durable.read("items", ({ batches }) =>
          batches.items(id, { status: "failed", after, limit: 6 }),
        )
      ).map(({ index }) => index);
    expect(await page(undefined)).toEqual([0, 20, 40, 60, 80, 100]);
    expect(await page(100)).toEqual([120, 140, 160, 180]);
    expect(await page(180)).toEqual([]);
  });

  test("runs no more chunks side by side than its type allows", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const definition = messages({ run, chunksAtOnce: 2 });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(50));
    for (let ended = 0; ended < 50; ended += 10) {
      await until("chunks to run", () => waiting.length === Math.min(ended + 20, 50));
      await harness.idle();
      for (const { go } of waiting.slice(ended, ended + 10)) go();
    }
    await harness.idle();
    expect(await batchOf(durable, id)).toMatchObject({ state: "completed", succeeded: 50 });
  });

  test("starts no more items than its rate allows, over all chunks", async () => {
    await using harness = await Harness.open(fixture);
    const startedAt: number[] = [];
    const definition = messages({
      rate: { limit: 2, per: "1s" },
      run: async () => void startedAt.push(harness.open.clock.now()),
    });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(24));
    for (let steps = 0; steps < 200 && startedAt.length < 24; steps++) {
      await harness.open.advance(100);
      await harness.idle();
    }
    await harness.idle();
    expect(await batchOf(durable, id)).toMatchObject({ state: "completed", succeeded: 24 });
    for (const [index, at] of startedAt.entries()) {
      const inWindow = startedAt.slice(index).filter((other) => other < at + 1_000);
      expect(inWindow.length).toBeLessThanOrEqual(2);
    }
  });
});

describe.for(storeFixtures)("cancelling a batch on $name", (fixture) => {
  const cancel = (durable: Durable, id: string) =>
    durable.transact("cancel", actor, (tx) => tx.batches.cancel(id));

  test("stops items that run, begins no other, and says what was done", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const definition = messages({ run, chunksAtOnce: 2, concurrency: 5 });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(40));
    await until("items to run", () => waiting.length === 10);
    for (const { go } of waiting.slice(0, 3)) go();
    await until("others to follow", () => waiting.length === 13);
    expect(await cancel(durable, id)).toMatchObject({ state: "cancelled", finishedAt: null });
    await harness.advance(2_000);
    expect(await batchOf(durable, id)).toMatchObject({
      state: "cancelled",
      succeeded: 3,
      failed: 0,
      cancelled: 37,
    });
    expect(waiting).toHaveLength(13);
    expect(waiting.at(-1)?.context.signal.aborted).toBe(true);
    expect(tally(await allItems(durable, id))).toEqual({ succeeded: 3, cancelled: 37 });
  });

  test("does not wait for items that wait for their retry", async () => {
    await using harness = await Harness.open(fixture);
    const definition = messages({
      backoff: fixedDelays(["1h"]),
      run: () => Promise.reject(new Error("down")),
    });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(30));
    await harness.idle();
    await cancel(durable, id);
    await harness.advance(2_000);
    expect(await batchOf(durable, id)).toMatchObject({ state: "cancelled", cancelled: 30 });
    expect((await batchOf(durable, id)).finishedAt).not.toBeNull();
  });

  test("changes nothing about one that has ended, and knows of none that never was", async () => {
    await using harness = await Harness.open(fixture);
    const definition = messages();
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(3));
    await harness.idle();
    expect(await cancel(durable, id)).toMatchObject({ state: "completed", cancelledAt: null });
    expect(await cancel(durable, "batch_none")).toBeUndefined();
  });
});

describe.for(storeFixtures)("taking in a batch on $name", (fixture) => {
  test("refuses items that do not fit, too many and none", async () => {
    await using harness = await Harness.open(fixture);
    const definition = messages({ maxItems: 20 });
    const { durable } = harness.node({ batches: [definition] });
    const staging = (items: Iterable<Message>) => durable.batches.stage(definition, items, actor);
    await expect(staging([...someMessages(4), { to: "", body: "" }])).rejects.toMatchObject({
      code: "batch_item_invalid",
      message: expect.stringContaining("Item 4 "),
    });
    await expect(staging(someMessages(21))).rejects.toMatchObject({ code: "batch_too_large" });
    await expect(staging([])).rejects.toMatchObject({ code: "batch_empty" });
    expect(await staging(someMessages(20))).toMatchObject({ total: 20, chunks: 2 });
  });

  test("shows nothing before its commit, and nothing when that is rolled back", async () => {
    await using harness = await Harness.open(fixture);
    const definition = messages();
    const { durable } = await harness.started({ batches: [definition] });
    const staged = await durable.batches.stage(definition, someMessages(15), actor);
    expect(await durable.batches.find(staged.id)).toBeUndefined();
    expect(await allItems(durable, staged.id)).toEqual([]);
    const refused = durable.transact("submit", actor, async (tx) => {
      await tx.batches.start(staged);
      throw new Error("changed my mind");
    });
    await expect(refused).rejects.toThrow("changed my mind");
    expect(await durable.batches.find(staged.id)).toBeUndefined();
    expect(await harness.store.jobs.list({ limit: 10 })).toEqual([]);
  });

  test("whose sender never comes to an end is swept, and can then not be accepted", async () => {
    await using harness = await Harness.open(fixture);
    const definition = messages();
    const { durable } = await harness.started({ batches: [definition] });
    const abandoned = await durable.batches.stage(definition, someMessages(400), actor);
    const discarded = await durable.batches.stage(definition, someMessages(15), actor);
    await durable.batches.discard(discarded);
    await minutes(harness, 2);
    expect(await rows(harness, "forge_batch_chunks")).toBe(40);
    await minutes(harness, 12);
    expect(await rows(harness, "forge_batch_chunks")).toBe(0);
    expect(await rows(harness, "forge_batches")).toBe(0);
    const start = durable.transact("submit", actor, (tx) => tx.batches.start(abandoned));
    await expect(start).rejects.toMatchObject({ code: "batch_lost" });
  });

  test("that has ended is kept for its retention, with everything that belongs to it", async () => {
    await using harness = await Harness.open(fixture);
    const definition = messages({ retention: "10m" });
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(300));
    await minutes(harness, 9);
    expect(await allItems(durable, id)).toHaveLength(300);
    await minutes(harness, 4);
    expect(await durable.batches.find(id)).toBeUndefined();
    for (const table of ["forge_batches", "forge_batch_chunks", "forge_batch_outcomes"]) {
      expect(await rows(harness, table)).toBe(0);
    }
  });
});

describe.for(storeFixtures)("a batch whose process dies on $name", (fixture) => {
  test("goes on in another one and counts nothing twice", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const definition = messages({ run });
    const first = await harness.started({ batches: [definition] });
    const id = await submit(first.durable, definition, someMessages(20));
    await until("items to run", () => waiting.length === 20);
    for (const { go } of waiting.slice(0, 5)) go();
    await harness.advance(1_000);
    await loseLeases(harness);
    const second = await harness.started({ batches: [messages()] });
    await harness.advance(12_000);
    expect(await batchOf(second.durable, id)).toMatchObject({ state: "completed", succeeded: 20 });
    // The first process was only slow: what it brings now comes too late.
    for (const { go } of waiting) go();
    await harness.advance(2_000);
    expect(await batchOf(second.durable, id)).toMatchObject({ succeeded: 20, failed: 0 });
    expect(waiting).toHaveLength(20);
  });

  test("fails the items of a chunk that processes die with, and ends", async () => {
    await using harness = await Harness.open(fixture);
    const definition = messages({ chunksAtOnce: 1 });
    const { durable } = harness.node({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(25));
    for (let deaths = 0; deaths < 5; deaths++) {
      await harness.store.jobs.claim("batches", "wrk_dying", 1);
      await loseLeases(harness);
    }
    const node = await harness.started({ batches: [definition] });
    await harness.advance(62_000);
    expect(await batchOf(node.durable, id)).toMatchObject({
      state: "completed",
      succeeded: 15,
      failed: 10,
    });
    expect((await allItems(node.durable, id))[0]?.error?.code).toBe("batch_chunk_lost");
  });
});

/** Gives every running job back, as when the process that held it is dead. */
async function loseLeases(harness: Harness): Promise<void> {
  await harness.store.workers.recoverExpired(-1);
}

/** Moves the time and lets the housekeeper make its visits. */
async function minutes(harness: Harness, count: number): Promise<void> {
  for (let minute = 0; minute < count; minute++) {
    await harness.open.advance(60_000);
    await harness.idle();
  }
}

async function rows(harness: Harness, table: string): Promise<number> {
  const [row] = await harness.store.read("count", (reader) =>
    reader.query({ texts: [`select count(*) as n from ${table}`], values: [] }),
  );
  return Number(row?.["n"]);
}

test("a batch type with options that make no sense is refused where it is declared", () => {
  expect(() => messages({ attempts: 0 })).toThrow(RangeError);
  expect(() => messages({ chunkItems: 10_001 })).toThrow(RangeError);
  expect(() => messages({ rate: { limit: 0, per: "1s" } })).toThrow(RangeError);
});
