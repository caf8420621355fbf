import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type { Lease, LeaseAsk, LeaseSpan } from "../limit-contract.ts";
import type { SqliteConnection } from "./connection.ts";

/** What was given out in one run, as it is stored: `[endsAt, count, endsAt, count, …]`. */
type Runs = readonly number[];

/** Limits and quotas in blocks. Every method runs inside a unit of work. */
export class QuotaTable {
  readonly #clock: Clock;
  readonly #find: StatementSync;
  readonly #save: StatementSync;
  readonly #sweep: StatementSync;

  constructor(connection: SqliteConnection, clock: Clock) {
    this.#clock = clock;
    this.#find = connection.prepare(
      "select runs, seen_at from forge_quotas where policy = ? and subject = ?",
    );
    this.#save = connection.prepare(
      `insert into forge_quotas (policy, subject, runs, seen_at, expires_at) values (?, ?, ?, ?, ?)
       on conflict (policy, subject) do update set
         runs = excluded.runs, seen_at = excluded.seen_at, expires_at = excluded.expires_at`,
    );
    this.#sweep = connection.prepare(
      `delete from forge_quotas where (policy, subject) in
         (select policy, subject from forge_quotas where expires_at <= ? limit ?)`,
    );
  }

  lease(asks: readonly LeaseAsk[]): readonly Lease[] {
    return asks.map((ask) => this.#leaseOne(ask));
  }

  sweep(limit: number): number {
    return Number(this.#sweep.run(this.#clock.now(), limit).changes);
  }

  #leaseOne({ policy, subject, limit, span, needed, ahead, back }: LeaseAsk): Lease {
    const row = this.#find.get(policy, subject);
    const nowAt = Math.max(this.#clock.now(), Number(row?.["seen_at"] ?? 0));
    const endsAt = runEnd(span, nowAt);
    const tailMs = "period" in span ? 0 : span.windowMs;
    const runs = counting(parseRuns(row), nowAt - tailMs, back);
    let remaining = Math.max(0, limit - sum(runs));
    let granted = Math.min(needed, remaining);
    granted += Math.min(ahead, Math.floor((remaining - granted) / 4));
    remaining -= granted;
    if (granted > 0) addTo(runs, endsAt, granted);
    if (row !== undefined || granted > 0) {
      const expiresAt = (runs.at(-2) ?? nowAt - tailMs) + tailMs;
      this.#save.run(policy, subject, JSON.stringify(runs), nowAt, expiresAt);
    }
    const resetInMs = runs[0] === undefined ? 0 : runs[0] + tailMs - nowAt;
    return { granted, endsAt, usableMs: endsAt - nowAt, remaining, resetInMs };
  }
}

/** The end of the run that a block of now belongs to: one to two slots away, or that of the period. */
function runEnd(span: LeaseSpan, nowAt: number): number {
  if ("slotMs" in span) return (Math.floor(nowAt / span.slotMs) + 2) * span.slotMs;
  const now = new Date(nowAt);
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  return span.period === "day" ? Date.UTC(year, month, day + 1) : Date.UTC(year, month + 1);
}

function parseRuns(row: Readonly<Record<string, unknown>> | undefined): Runs {
  // Written by #leaseOne only.
  return row === undefined ? [] : (JSON.parse(String(row["runs"])) as Runs);
}

/** Those of `runs` that end after `after`, without what is given back. */
function counting(runs: Runs, after: number, back: LeaseAsk["back"]): number[] {
  const kept: number[] = [];
  for (let index = 0; index < runs.length; index += 2) {
    const [endsAt = 0, count = 0] = runs.slice(index, index + 2);
    const rest = back?.endsAt === endsAt ? Math.max(0, count - back.count) : count;
    if (endsAt > after && rest > 0) kept.push(endsAt, rest);
  }
  return kept;
}

function sum(runs: Runs): number {
  let total = 0;
  for (let index = 1; index < runs.length; index += 2) total += runs[index] ?? 0;
  return total;
}

function addTo(runs: number[], endsAt: number, count: number): void {
  if (runs.at(-2) === endsAt) runs.push((runs.pop() ?? 0) + count);
  else runs.push(endsAt, count);
}
