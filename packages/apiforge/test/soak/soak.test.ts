import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";

import { createDurable, type Durable } from "../../src/durable/index.ts";
import { silentLog } from "../../src/kernel/index.ts";
import { openSqliteStore } from "../../src/store/sqlite/store.ts";
import { fastClock } from "./fast-clock.ts";
import { addAlike, addBatch, addNote, definitions } from "./load.ts";

/*
 * Hours of work in a minute (half an hour with APIFORGE_SOAK_LONG=1): requests with their answers,
 * plain, keyed and failing jobs, a schedule and batches, on a clock that runs 60 times as fast so
 * that everything is swept many times over. Memory, the write-ahead log and every swept table have
 * to be as large in the end as they were after the first third.
 */
const isLong = process.env["APIFORGE_SOAK_LONG"] === "1";
const runMs = isLong ? 30 * 60_000 : 60_000;
const samples = 30;
const factor = 60;
const writers = 8;
/** From one write of a writer to the next. A busy machine writes late, and not less. */
const everyMs = 10;
/** Where the log starts over, with what may be written until then. */
const mostLogBytes = 160 * 2 ** 20;

const mostMemoryGrowth = 1.2;
const mostRowGrowth = 1.5;

/** Has a row for each run of jobs that ended one after the other, so a busy machine has more of them: up to one for each job. */
const runsOfJobs = "forge_pack_ends";
/** Tables that retention keeps from growing. */
const sweptTables = [
  runsOfJobs,
  "forge_jobs",
  "forge_job_packs",
  "forge_idempotency",
  "forge_lanes",
  "forge_batches",
  "forge_batch_outcomes",
  "forge_schedule_ticks",
  "forge_events",
];

interface Sample {
  readonly residentBytes: number;
  readonly logBytes: number;
  /** Notes so far. */
  readonly written: number;
  readonly rows: Readonly<Record<string, number>>;
}

test("memory, log and tables stay flat", { timeout: runMs + 60_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "apiforge-soak-"));
  const path = join(directory, "apiforge.db");
  const clock = fastClock(factor);
  const store = await openSqliteStore({
    ...{ path, clock, migrations: [], transactionLimitMs: 60_000, log: silentLog },
  });
  const durable = createDurable({
    ...{ store, clock, log: silentLog, consumers: [], ...definitions },
    ...{ idempotencyRetention: "3m", completedJobRetention: "3m", tickRetention: "3m" },
    eventRetention: "3m",
  });
  try {
    await durable.start();
    const until = performance.now() + runMs;
    const tally = { written: 0 };
    const load = Array.from({ length: writers }, (_, writer) =>
      write(durable, writer, until, tally),
    );
    const taken: Sample[] = [];
    for (let index = 0; index < samples; index++) {
      await delay(runMs / samples);
      const one = await sample(durable, path, tally.written);
      taken.push(one);
      // What half an hour measured is worth more than that it passed.
      if (isLong) console.info(JSON.stringify(one));
    }
    await Promise.all(load);
    expect(growth(taken)).toEqual([]);
  } finally {
    await durable.stop(10_000);
    await store.close();
    rmSync(directory, { recursive: true });
  }
});

async function write(
  durable: Durable,
  writer: number,
  until: number,
  tally: { written: number },
): Promise<void> {
  let dueAtMs = performance.now();
  for (let count = 0; performance.now() < until; count++) {
    await addNote(durable, `${writer}-${count}`);
    tally.written++;
    if (count % 20 === 0) await addAlike(durable);
    if (count % 200 === 0) await addBatch(durable);
    dueAtMs += everyMs;
    await delay(Math.max(0, dueAtMs - performance.now()));
  }
}

async function sample(durable: Durable, path: string, written: number): Promise<Sample> {
  const rows: Record<string, number> = {};
  for (const table of sweptTables) {
    const [row] = await durable.read("count", ({ runner }) =>
      runner.query({ texts: [`select count(*) as n from ${table}`], values: [] }),
    );
    rows[table] = Number(row?.["n"]);
  }
  const residentBytes = process.memoryUsage.rss();
  return { residentBytes, logBytes: statSync(`${path}-wal`).size, written, rows };
}

/**
 * What grew, or the log when it is too large. Of memory the smallest of the last third counts against that of the second,
 * since how much waits to be collected depends on what else the machine does. Tables are full after a few seconds, so
 * the median of the last third counts against the most from a sixth to a third, of rows and of rows for each note of the two
 * samples before: who could not write for a while has more to write afterwards. What nobody sweeps is twice as much by then.
 */
function growth(taken: readonly Sample[]): string[] {
  const third = Math.floor(taken.length / 3);
  const filled = Math.floor(third / 2);
  const [middle, last] = [taken.slice(third, 2 * third), taken.slice(2 * third)];
  const memory = (some: readonly Sample[]): number =>
    Math.min(...some.map(({ residentBytes }) => residentBytes));
  const isIdle = (table: string): boolean => last.every(({ rows }) => rows[table] === 0);
  const hasGrown = (table: string): boolean => {
    const rows = taken.map((one) => one.rows[table] ?? 0);
    if (table === runsOfJobs) {
      return median(rows.slice(2 * third)) > recentNotes(taken, taken.length - 1);
    }
    const perNote = rows.map((count, index) => count / Math.max(1, recentNotes(taken, index)));
    return [rows, perNote].every(
      (figures) =>
        median(figures.slice(2 * third)) >
        mostRowGrowth * Math.max(...figures.slice(filled, third)),
    );
  };
  return [
    ...(taken.some(({ logBytes }) => logBytes > mostLogBytes) ? ["write-ahead log"] : []),
    ...(memory(last) / memory(middle) > mostMemoryGrowth ? ["memory"] : []),
    ...sweptTables.filter(hasGrown),
    ...sweptTables.filter(isIdle).map((table) => `${table} is not in use`),
  ];
}

function recentNotes(taken: readonly Sample[], index: number): number {
  return (taken[index]?.written ?? 0) - (taken[index - 2]?.written ?? 0);
}

function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
