import { eventually, ManualClock, recordingLog } from "@apiforge/testing";
import { describe, expect, onTestFinished, test } from "vitest";

import { silentLog } from "../../src/kernel/index.ts";
import { ReadThreads } from "../../src/store/sqlite/read-threads.ts";
import { SlowReads } from "../../src/store/sqlite/slow-reads.ts";
import { openSqliteFile } from "./sqlite-fixture.ts";

function counting(rows: number): string {
  return `with recursive n (i) as (select 1 union all select i + 1 from n where i < ${rows})
    select count(*) as n from n`;
}

const slow = counting(2_000_000);

describe("reads of a label", () => {
  const after = (reads: SlowReads, count: number, slowestMs = 1) => {
    for (let read = 0; read < count; read++) reads.finished("list", slowestMs);
    return reads.has("list");
  };

  test("stay on the main thread while none of their statements stalls it", () => {
    const reads = new SlowReads();
    for (let read = 0; read < 1_000; read++) expect(reads.ran("list", 19)).toBe(false);
    expect(reads.has("list")).toBe(false);
  });

  test("move when one holds it for 200 ms, once, and no other label with them", () => {
    const reads = new SlowReads();
    expect(reads.ran("list", 200)).toBe(true);
    expect(reads.ran("list", 500)).toBe(false);
    expect([reads.has("list"), reads.has("find")]).toEqual([true, false]);
  });

  test("move at the second of two shorter stalls that are close together", () => {
    const reads = new SlowReads();
    expect(reads.ran("list", 20)).toBe(false);
    for (let read = 0; read < 49; read++) reads.ran("list", 1);
    expect(reads.ran("list", 20)).toBe(true);
  });

  test("stay when the stalls are far apart: they are the machine's", () => {
    const reads = new SlowReads();
    for (let stall = 0; stall < 20; stall++) {
      expect(reads.ran("list", 44)).toBe(false);
      for (let read = 0; read < 50; read++) reads.ran("list", 1);
    }
    expect(reads.has("list")).toBe(false);
  });

  test("come back after 50 quick ones in a row, after the next move after 100", () => {
    const reads = new SlowReads();
    reads.ran("list", 300);
    expect(after(reads, 49)).toBe(true);
    expect(after(reads, 1, 25)).toBe(true);
    expect(after(reads, 49)).toBe(true);
    expect(after(reads, 1)).toBe(false);
    reads.ran("list", 300);
    expect(after(reads, 99)).toBe(true);
    expect(after(reads, 1)).toBe(false);
  });
});

test("a label that proved quick in threads has to stall the event loop again to move again", async () => {
  const log = recordingLog();
  await using opened = await openSqliteFile({ log });
  const { store } = opened;
  const moves = () => log.entries.filter(({ message }) => message.includes("in a thread")).length;
  const read = (text: string) => store.read("list", (reader) => reader.queryText(text, []));
  await eventually("its reads have moved", async () => {
    await read(slow);
    return moves() === 1;
  });
  // The threads are open by now, or will be soon: until then reads stay where they were.
  await eventually("the first thread has started", async () => {
    await read("select 1");
    return (await loopStallOf(() => read(slow))) < 20;
  });
  // Where the machine held one of the quick ones up, they are no 50 in a row: the slow ones then still run in a thread.
  await eventually("it has come back and stalled the event loop twice", async () => {
    for (let count = 0; count < 50; count++) await read("select 1");
    for (let stall = 0; stall < 2; stall++) await read(slow);
    return moves() > 1;
  });
  expect(moves()).toBe(2);
});

/** For how long nothing else could run while `work` did. */
async function loopStallOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  const worked = work();
  const stalledMs = performance.now() - startedAt;
  await worked;
  return stalledMs;
}

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
  const read = () => store.read("list", (reader) => reader.queryText(counting(300_000), []));
  for (let stall = 0; stall < 2; stall++) await read();
  const answers = await Promise.all(Array.from({ length: 12 }, read));
  expect(answers.map(({ rows }) => rows[0]?.["n"])).toEqual(Array(12).fill(300_000));
});
