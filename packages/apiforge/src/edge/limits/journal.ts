import type { Clock, Log, Timer } from "../../kernel/index.ts";
import type { LimitLog, LimitLogEntry, LimitMemory } from "../../store/index.ts";
import { remember } from "./memory.ts";
import type { LimitPolicy } from "./policy.ts";
import type { WindowTable } from "./window-table.ts";

/** Longest time that what was spent stays unwritten, while nobody waits for it. */
const saveEveryMs = 100;
const retryMs = 1_000;
/** Subjects in one entry. */
const entrySubjects = 2_000;
/** Characters that a policy may write before its log is written anew, which takes as many subjects as it has. */
const leastCompacted = 4_000_000;

/** What {@link LimitJournal} needs. */
export interface JournalParts {
  readonly log: LimitLog;
  /** What was remembered when the store was opened. */
  readonly memory: LimitMemory;
  readonly clock: Clock;
  readonly elapsed: () => number;
  readonly logger: Log;
}

interface Counted {
  readonly policy: LimitPolicy;
  readonly table: WindowTable;
  /** Characters written since all of it was written anew, and then. */
  written: number;
  compacted: number;
}

/**
 * Keeps what one process counts over its restarts, without a commit per request: spendings are
 * written together, many subjects in one row. A subject may spend `ahead` of the log; of what is
 * above, each request goes on when it is on disk. After a crash everybody is counted as if `ahead`
 * had been spent in that moment, so that never one too many is admitted.
 */
export class LimitJournal {
  readonly #parts: JournalParts;
  readonly #counted: Counted[] = [];
  #debts: readonly LimitLogEntry[] = [];
  #isMarked = false;
  #next: PromiseWithResolvers<void> | undefined;
  #saving: Promise<void> | undefined;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(parts: JournalParts) {
    this.#parts = parts;
  }

  /** Begins to keep `table`, with what is remembered of it. */
  keep(policy: LimitPolicy, table: WindowTable): void {
    const { memory, clock, elapsed } = this.#parts;
    const debt = remember(memory, policy, table, { nowAt: clock.now(), elapsedMs: elapsed() });
    if (debt !== undefined) this.#debts = [...this.#debts, debt];
    this.#counted.push({ policy, table, written: 0, compacted: 0 });
  }

  /**
   * After a spending: undefined when the request may go on, else what it waits for.
   * @throws (rejects) what the store says when it cannot write.
   */
  wait(table: WindowTable, subject: string): Promise<void> | undefined {
    // Nothing may run ahead before the log says that something does.
    if (!this.#isMarked || table.owes(subject)) return this.saved();
    if (this.#timer === undefined) this.#saveSoon(saveEveryMs);
    return undefined;
  }

  /** Resolves when all that was spent until now is on disk. */
  saved(): Promise<void> {
    this.#next ??= Promise.withResolvers();
    this.#saving ??= this.#saveAll();
    return this.#next.promise;
  }

  /** Writes the rest; the next process finds that this one ended in order. Nothing may be spent afterwards. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#saving;
    if (!this.#isMarked && this.#debts.length === 0) return;
    try {
      await this.#save(null);
    } catch (error) {
      this.#parts.logger.warn({ error }, "limits could not be saved; they count as after a crash");
    }
  }

  #saveSoon(afterMs: number): void {
    if (this.#isClosed) return;
    this.#timer = this.#parts.clock.after(afterMs, () => {
      this.#timer = undefined;
      if (this.#isClosed || !this.#counted.some(({ table }) => table.isTouched)) return;
      this.#saving ??= this.#saveAll();
    });
  }

  async #saveAll(): Promise<void> {
    do {
      // Who spends in this turn of the event loop is written along.
      await new Promise<void>((resolve) => void setImmediate(resolve));
      const waiting = this.#next;
      this.#next = undefined;
      // A failed authentication is counted without anybody who waits.
      waiting?.promise.catch(() => undefined);
      try {
        await this.#save();
        waiting?.resolve();
      } catch (error) {
        this.#parts.logger.warn({ error }, "limits could not be saved; trying again");
        waiting?.reject(error);
        if (this.#timer === undefined) this.#saveSoon(retryMs);
      }
    } while (this.#next !== undefined);
    this.#saving = undefined;
    await this.#compact();
  }

  async #save(
    mark: string | null | undefined = this.#isMarked ? undefined : this.#mark(),
  ): Promise<void> {
    const taken = this.#counted.flatMap((counted) => this.#takeAll(counted));
    if (taken.length === 0 && mark === undefined) return;
    const entries = taken.map(({ entry }) => entry);
    try {
      await this.#parts.log.append([...this.#debts, ...entries], mark);
    } catch (error) {
      for (const { counted, spendings } of taken) counted.table.settle(spendings, false);
      throw error;
    }
    this.#debts = [];
    this.#isMarked = true;
    for (const { counted, spendings, entry } of taken) {
      counted.table.settle(spendings, true);
      counted.written += entry.body.length;
    }
  }

  #takeAll(counted: Counted) {
    const taken = [];
    const { table, policy } = counted;
    while (table.isTouched) {
      const spendings = table.unwritten(entrySubjects);
      if (spendings.length === 0) continue;
      const sinceStart = this.#epochMs();
      const body = spendings.flatMap(({ subject, at, count }) => [
        subject,
        Math.ceil(at + sinceStart),
        count,
      ]);
      const entry = this.#entry(policy, "spent", body);
      taken.push({ counted, spendings, entry });
    }
    return taken;
  }

  #entry(policy: LimitPolicy, kind: LimitLogEntry["kind"], body: unknown): LimitLogEntry {
    // A run may end a little later than now, and a clock may be set back.
    const expiresAt = this.#parts.clock.now() + 2 * policy.windowMs;
    return { policy: policy.name, kind, body: JSON.stringify(body), expiresAt };
  }

  /** Writes a policy's subjects anew, in entries of some, when its log has become long, and forgets what was before. */
  async #compact(): Promise<void> {
    for (const counted of this.#counted) {
      const { written, compacted } = counted;
      if (this.#isClosed || written < Math.max(leastCompacted, 2 * compacted)) continue;
      try {
        await this.#writeAnew(counted);
      } catch (error) {
        this.#parts.logger.warn({ error }, "a long log of limits could not be written anew");
      }
    }
  }

  async #writeAnew(counted: Counted): Promise<void> {
    const { table, policy } = counted;
    const end = table.capacity;
    let first: number | undefined;
    counted.written = 0;
    counted.compacted = 0;
    for (let index = 0; index < end && !this.#isClosed; index += entrySubjects) {
      const states = table.states(index, index + entrySubjects);
      if (states.length === 0) continue;
      const sinceStart = this.#epochMs();
      const body = states.flatMap(({ subject, runs }) => [
        subject,
        runs.map((value, place) => (place % 2 === 0 ? Math.ceil(value + sinceStart) : value)),
      ]);
      const entry = this.#entry(policy, "snapshot", body);
      try {
        const n = await this.#parts.log.append([entry]);
        first ??= n;
        counted.compacted += entry.body.length;
        table.settle(states, true);
      } catch (error) {
        table.settle(states, false);
        throw error;
      }
    }
    if (first !== undefined && !this.#isClosed) await this.#parts.log.forget(policy.name, first);
  }

  #mark(): string {
    return JSON.stringify(this.#counted.map(({ policy, table }) => [policy.name, table.ahead]));
  }

  /** What makes an instant of the epoch of one that is counted from the start of the process. */
  #epochMs(): number {
    return this.#parts.clock.now() - this.#parts.elapsed();
  }
}

/**
 * What one subject may spend of `policy` ahead of the log, and everybody lacks for one window after a
 * crash: a sixteenth. Of less than 16 it would be a greater part, which only a short window bears.
 */
export function aheadOf({ limit, windowMs }: LimitPolicy): number {
  const sixteenth = Math.floor(limit / 16);
  return windowMs <= 60_000 ? Math.max(1, sixteenth) : sixteenth;
}
