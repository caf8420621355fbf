import type { LimitLogEntry, LimitMemory } from "../../store/index.ts";
import type { LimitPolicy } from "./policy.ts";
import type { WindowTable } from "./window-table.ts";

/** The moment at which a process begins to count. */
export interface Beginning {
  readonly nowAt: number;
  readonly elapsedMs: number;
}

/**
 * Puts into `table` what `memory` has of `policy`. Answers the debt that is to be written, when the
 * process before ended by a crash: what it had admitted and not written is unknown, and counts as
 * spent by everybody at the last moment at which it can have been.
 */
export function remember(
  memory: LimitMemory,
  policy: LimitPolicy,
  table: WindowTable,
  { nowAt, elapsedMs }: Beginning,
): LimitLogEntry | undefined {
  const entries = memory.entries.filter((entry) => entry.policy === policy.name);
  // An instant to come is that of a clock that was set back meanwhile.
  const elapsedAt = (at: number): number => Math.min(0, at - nowAt) + elapsedMs;
  for (const [subject, runs] of runsOf(entries)) {
    for (let place = 0; place < runs.length; place += 2) {
      table.restore(subject, elapsedAt(runs[place] ?? nowAt), runs[place + 1] ?? 0);
    }
  }
  for (const [at, count] of debtsOf(entries)) table.addDebt(elapsedAt(at), count);
  const ahead = crashedAhead(memory.mark, policy.name);
  if (ahead === 0) return undefined;
  table.addDebt(elapsedMs, ahead);
  return {
    policy: policy.name,
    kind: "debt",
    body: JSON.stringify([nowAt, ahead]),
    expiresAt: nowAt + 2 * policy.windowMs,
  };
}

/** By subject (instant, count), flat, in the order in which they were written. Bodies are those of the journal. */
function runsOf(entries: readonly LimitLogEntry[]): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, number[]>();
  for (const { kind, body } of entries) {
    if (kind === "spent") addSpent(found, JSON.parse(body) as (string | number)[]);
    if (kind === "snapshot") setStates(found, JSON.parse(body) as (string | number[])[]);
  }
  return found;
}

function addSpent(found: Map<string, number[]>, body: readonly (string | number)[]): void {
  for (let place = 0; place < body.length; place += 3) {
    const subject = String(body[place]);
    const runs = found.get(subject) ?? [];
    runs.push(Number(body[place + 1]), Number(body[place + 2]));
    found.set(subject, runs);
  }
}

function setStates(found: Map<string, number[]>, body: readonly (string | number[])[]): void {
  for (let place = 0; place < body.length; place += 2) {
    const runs = body[place + 1];
    if (Array.isArray(runs)) found.set(String(body[place]), runs);
  }
}

function debtsOf(entries: readonly LimitLogEntry[]): readonly (readonly [number, number])[] {
  return entries
    .filter(({ kind }) => kind === "debt")
    .map(({ body }) => JSON.parse(body) as [number, number]);
}

function crashedAhead(mark: string | undefined, name: string): number {
  const marked = mark === undefined ? [] : (JSON.parse(mark) as [string, number][]);
  return marked.find(([policy]) => policy === name)?.[1] ?? 0;
}
