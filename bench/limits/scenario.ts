/*
 * One scenario in a process of its own, so that its memory is its own: prints what it cost as JSON.
 * Arguments: name, subjects, checks.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import {
  aheadOf,
  LeaseDesk,
  LeasedCounter,
  LimitJournal,
  limitPolicy,
  WindowTable,
} from "apiforge/internal/edge";
import { silentLog, systemClock } from "apiforge/internal/kernel";
import { openSqliteStore } from "apiforge/internal/store/sqlite";

/** What a scenario cost. */
export interface ScenarioReport {
  readonly microsecondsPerCheck: number;
  readonly residentMegabytes: number;
  readonly commits: number;
}

/** Counts one request of a subject. */
type Check = (subject: string) => Promise<void> | undefined;

/** Requests that come in one turn of the event loop. */
const turnChecks = 64;
const policy = limitPolicy({ name: "measured", limit: 1_000_000, per: "1m" }, "address");
const elapsed = (): number => performance.now();

const [name = "", subjectCount = "1000", checkCount = "1000000"] = process.argv.slice(2);
const directory = mkdtempSync(join(tmpdir(), "apiforge-limits-"));
const options = { path: join(directory, "store.db"), migrations: [], transactionLimitMs: 5_000 };
const store = await openSqliteStore({ ...options, log: silentLog });
let commits = 0;
try {
  // As an address comes from the socket: in one piece, which putting it together is no part of counting.
  const subjects = Array.from({ length: Number(subjectCount) }, (_, n) =>
    Buffer.from(`subject-${n}`.padEnd(20, ".")).toString("latin1"),
  );
  const check = await checkOf(name);
  process.stdout.write(JSON.stringify(await measure(check, subjects, Number(checkCount))));
} finally {
  await store.close();
  rmSync(directory, { recursive: true });
}

async function checkOf(scenario: string): Promise<Check> {
  if (scenario === "leased") return leased();
  if (scenario === "written") return written();
  const table = new WindowTable(policy);
  return (subject) => {
    spend(table, subject);
    return undefined;
  };
}

/** As on SQLite: counted in memory, written behind. */
async function written(): Promise<Check> {
  const { limitLog: log } = store;
  if (log === undefined) throw new TypeError("The store keeps no limits");
  const counting = {
    load: () => log.load(),
    forget: (of: string, n: number) => log.forget(of, n),
    append: (...args: Parameters<typeof log.append>) => {
      commits++;
      return log.append(...args);
    },
  };
  const memory = await log.load();
  const parts = { log: counting, memory, clock: systemClock, elapsed, logger: silentLog };
  const journal = new LimitJournal(parts);
  const table = new WindowTable({ ...policy, ahead: aheadOf(policy) });
  journal.keep(policy, table);
  return (subject) => {
    spend(table, subject);
    return journal.wait(table, subject);
  };
}

/** As where nodes count together: in blocks that are leased. */
function leased(): Check {
  const desk = new LeaseDesk({
    lease(asks) {
      commits++;
      return store.quotas.lease(asks);
    },
  });
  const counter = new LeasedCounter(policy, desk, systemClock, elapsed);
  const check = (subject: string): Promise<void> | undefined => {
    const wait = counter.prepare(subject, elapsed());
    if (wait !== undefined) return wait.then(() => check(subject));
    spend(counter, subject);
    return undefined;
  };
  return check;
}

function spend(counter: WindowTable | LeasedCounter, subject: string): void {
  const now = elapsed();
  if (counter.look(subject, now).remaining < 1) throw new RangeError("The limit is reached");
  counter.take(subject, now);
  counter.look(subject, now);
}

async function measure(
  check: Check,
  subjects: readonly string[],
  count: number,
): Promise<ScenarioReport> {
  const before = resident();
  const random = stepsThrough(subjects.length);
  const begun = process.cpuUsage();
  for (let done = 0; done < count; done += turnChecks) {
    const waits: Promise<void>[] = [];
    for (let n = 0; n < turnChecks; n++) {
      const wait = check(subjects[random()] ?? "");
      if (wait !== undefined) waits.push(wait);
    }
    await (waits.length > 0 ? Promise.all(waits) : new Promise((next) => void setImmediate(next)));
  }
  const { user, system } = process.cpuUsage(begun);
  // What is on its way to the disk is not what the callers take.
  await delay(1_000);
  return {
    microsecondsPerCheck: (user + system) / count,
    residentMegabytes: (resident() - before) / 1_000_000,
    commits,
  };
}

/** Each of `length` once, far from the one before, then again. */
function stepsThrough(length: number): () => number {
  const step = 611_953;
  let at = 0;
  return () => (at = (at + step) % length);
}

function resident(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss();
}
