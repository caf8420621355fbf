import { ManualClock, recordingLog } from "@apiforge/testing";
import { describe, expect, onTestFinished, test } from "vitest";

import { silentLog } from "../../src/kernel/index.ts";
import { ReadThreads } from "../../src/store/sqlite/read-threads.ts";
import { SlowReads } from "../../src/store/sqlite/slow-reads.ts";
import { openSqliteFile } from "./sqlite-fixture.ts";

const slow = `with recursive n (i) as (select 1 union all select i + 1 from n where i < 500000)
  select count(*) as n from n`;

describe("reads of a label", () => {
  test("stay on the main thread while none of their statements stalls it", () => {
    const reads = new SlowReads();
    expect(reads.stalled("list", 19)).toBe(false);
    expect(reads.has("list")).toBe(false);
  });

  test("move when one does, once, and no other label with them", () => {
    const reads = new SlowReads();
    expect(reads.stalled("list", 20)).toBe(true);
    expect(reads.stalled("list", 500)).toBe(false);
    expect([reads.has("list"), reads.has("find")]).toEqual([true, false]);
  });

  test("come back after 50 quick ones in a row, after the next stall after 100", () => {
    const reads = new SlowReads();
    reads.stalled("list", 30);
    for (let count = 0; count < 49; count++) reads.finished("list", 1);
    reads.finished("list", 25);
    for (let count = 0; count < 49; count++) reads.finished("list", 1);
    expect(reads.has("list")).toBe(true);
    reads.finished("list", 1);
    expect(reads.has("list")).toBe(false);
    reads.stalled("list", 30);
    for (let count = 0; count < 99; count++) reads.finished("list", 1);
    expect(reads.has("list")).toBe(true);
    reads.finished("list", 1);
    expect(reads.has("list")).toBe(false);
  });

  test("that proved quick in threads stall the event loop again before they move again", async () => {
    const log = recordingLog();
    await using opened = await openSqliteFile({ log });
    const { store } = opened;
    const moves = () => log.entries.filter(({ message }) => message.includes("in a thread")).length;
    const read = (text: string) => store.read("list", (reader) => reader.queryText(text, []));
    await read(slow);
    await read(slow);
    expect(moves()).toBe(1);
    for (let count = 0; count < 50; count++) await read("select 1");
    await read(slow);
    expect(moves()).toBe(2);
  });
});

describe("threads for slow reads", () => {
  async function threads(): Promise<{ pool: ReadThreads; clock: ManualClock }> {
    const opened = await openSqliteFile();
    const clock = new ManualClock();
    const limit = { clock, log: silentLog, transactionLimitMs: 1_500 };
    const pool = new ReadThreads(opened.path, limit);
    onTestFinished(async () => {
      await pool.close();
      await opened[Symbol.asyncDispose]();
    });
    return { pool, clock };
  }

  test("are four at most; who comes after waits for one, in order", async () => {
    const { pool } = await threads();
    const taken = await Promise.all([pool.take(), pool.take(), pool.take(), pool.take()]);
    const order: string[] = [];
    const fifth = pool.take().then((thread) => (order.push("fifth"), thread));
    const sixth = pool.take().then((thread) => (order.push("sixth"), thread));
    const [first, second, ...others] = taken;
    if (first === undefined || second === undefined) throw new Error("Four were taken");
    pool.giveBack(second);
    expect(await fifth).toBe(second);
    pool.giveBack(first);
    expect(await sixth).toBe(first);
    expect(order).toEqual(["fifth", "sixth"]);
    for (const thread of [first, second, ...others]) pool.giveBack(thread);
  });

  test("one that is idle is used again", async () => {
    const { pool } = await threads();
    const thread = await pool.take();
    pool.giveBack(thread);
    expect(await pool.take()).toBe(thread);
    pool.giveBack(thread);
  });

  test("who has waited for as long as a read may take is told to come again", async () => {
    const { pool, clock } = await threads();
    const taken = await Promise.all([pool.take(), pool.take(), pool.take(), pool.take()]);
    const late = pool.take();
    const refused = late.catch((error: unknown) => error);
    clock.advance(1_500);
    expect(await refused).toMatchObject({ code: "store_unavailable", retryable: true });
    expect(clock.pending).toBe(0);
    for (const thread of taken) pool.giveBack(thread);
  });

  test("the place of one that was cut off is free when its statement has ended, not before", async () => {
    const { pool } = await threads();
    const taken = await Promise.all([pool.take(), pool.take(), pool.take(), pool.take()]);
    const [running, ...others] = taken;
    if (running === undefined) throw new Error("Four were taken");
    running.begin(undefined);
    await running.queryText("select 1", []);
    void running.queryText(slow, []).catch(() => undefined);
    const ended = Promise.withResolvers<string>();
    const close = running.close.bind(running);
    running.close = async () => {
      await close();
      ended.resolve("ended");
    };
    pool.discard(running);
    const next = pool.take();
    expect(await Promise.race([next.then(() => "taken"), ended.promise])).toBe("ended");
    const thread = await next;
    expect(thread).not.toBe(running);
    thread.begin(undefined);
    expect((await thread.queryText("select 2 as n", [])).rows).toEqual([{ n: 2 }]);
    for (const each of [thread, ...others]) pool.giveBack(each);
  });
});

test("many slow reads at once are all answered", async () => {
  await using opened = await openSqliteFile();
  const { store } = opened;
  const read = () => store.read("list", (reader) => reader.queryText(slow, []));
  await read();
  const answers = await Promise.all(Array.from({ length: 12 }, read));
  expect(answers.map(({ rows }) => rows[0]?.["n"])).toEqual(Array(12).fill(500_000));
});
