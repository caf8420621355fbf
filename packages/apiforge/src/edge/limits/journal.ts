import type { Clock, Log, Timer } from "../../kernel/index.ts";
import type { LimitLog, LimitLogEntry, LimitMemory } from "../../store/index.ts";
import { remember } from "./memory.ts";
import type { LimitPolicy } from "./policy.ts";
import type { Spending, WindowTable } from "./window-table.ts";

/** Longest time that what was spent stays unwritten, while nobody waits for it. */
const saveEveryMs = 100;
const retryMs = 1_000;
/** Subjects in one entry, and entries in one commit: what waits for the disk is bounded. */
const entrySubjects = 2_000;
const commitEntries = 8;
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
  policy: LimitPolicy;
  readonly table: WindowTable;
  /** Characters written since all of it was written anew, and then. */
  written: number;
  compacted: number;
  /** Spendings written since then. */
  spendings: number;
}

/** An entry that is on its way to the disk. */
interface Taken {
  readonly counted: Counted;
  readonly spendings: readonly Spending[];
  readonly entry: LimitLogEntry;
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
  /** The mark on disk has every policy as it is now. */
  #isMarkRight = true;
  #next: PromiseWithResolvers<void> | undefined;
  #saving: Promise<void> | undefined;
  /** Ends when nothing that was taken is on its way to the disk. */
  #turn: Promise<unknown> = Promise.resolve();
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
    this.#counted.push({ policy, table, written: 0, compacted: 0, spendings: 0 });
    this.#isMarkRight = false;
  }

  /** Goes on to keep `table`, of which as much may run ahead as `policy` says now. */
  resize(policy: LimitPolicy, table: WindowTable): void {
    const counted = this.#counted.find((each) => each.table === table);
    if (counted === undefined) return;
    counted.policy = policy;
    table.ahead = aheadOf(policy);
    this.#isMarkRight = false;
  }

  /**
   * After a spending: undefined when the request may go on, else what it waits for.
   * @throws (rejects) what the store says when it cannot write.
   */
  wait(table: WindowTable, subject: string): Promise<void> | undefined {
    // Nothing may run ahead before the log says that something does.
    if (!this.#isMarked || !this.#isMarkRight || table.owes(subject)) return this.saved();
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
      await this.#alone(() => this.#save(undefined));
      // Last of all: until then something may have been spent that is on no disk.
      await this.#append([], null);
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
        const isMarked = this.#isMarked && this.#isMarkRight;
        await this.#alone(() => this.#save(isMarked ? undefined : this.#mark()));
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

  /** Writes what was spent until now, in one pass over the subjects; the first commit has `mark` along. */
  async #save(mark: string | undefined): Promise<void> {
    let unset = mark;
    let taken: Taken[] = [];
    for (const counted of this.#counted) {
      for (let from: number | undefined = 0; from !== undefined;) {
        const { spendings, next } = counted.table.unwritten(from, entrySubjects);
        from = next;
        if (spendings.length > 0) taken.push(this.#taken(counted, spendings));
        if (taken.length < commitEntries) continue;
        await this.#append(taken, unset);
        taken = [];
        unset = undefined;
      }
    }
    if (taken.length > 0 || unset !== undefined) await this.#append(taken, unset);
  }

  async #append(taken: readonly Taken[], mark: string | null | undefined): Promise<void> {
    const entries = taken.map(({ entry }) => entry);
    try {
      await this.#parts.log.append([...this.#debts, ...entries], mark);
    } catch (error) {
      if (mark !== undefined) this.#isMarkRight = false;
      for (const { counted, spendings } of taken) counted.table.settle(spendings, false);
      throw error;
    }
    this.#debts = [];
    if (mark !== undefined) this.#isMarked = mark !== null;
    for (const { counted, spendings, entry } of taken) {
      counted.table.settle(spendings, true);
      counted.written += entry.body.length;
      counted.spendings += spendings.length;
    }
  }

  #taken(counted: Counted, spendings: readonly Spending[]): Taken {
    const sinceStart = this.#epochMs();
    const body: (string | number)[] = [];
    for (const { subject, at, count } of spendings) {
      body.push(subject, Math.ceil(at + sinceStart), count);
    }
    return { counted, spendings, entry: this.#entry(counted.policy, "spent", body) };
  }

  #entry(policy: LimitPolicy, kind: LimitLogEntry["kind"], body: unknown): LimitLogEntry {
    // A run may end a little later than now, and a clock may be set back.
    const expiresAt = this.#parts.clock.now() + 2 * policy.windowMs;
    return { policy: policy.name, kind, body: JSON.stringify(body), expiresAt };
  }

  /** Writes a policy's subjects anew, in entries of some, when its log has become long, and forgets what was before. */
  async #compact(): Promise<void> {
    for (const counted of this.#counted) {
      if (this.#isClosed || !isLong(counted)) continue;
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
    counted.spendings = 0;
    for (let index = 0; index < end && !this.#isClosed; index += entrySubjects) {
      const n = await this.#alone(() => this.#writePart(counted, index));
      first ??= n;
    }
    if (first !== undefined && !this.#isClosed) await this.#parts.log.forget(policy.name, first);
  }

  /** Writes the states of some subjects from the number `first` on; answers the number of their entry. */
  async #writePart(counted: Counted, first: number): Promise<number | undefined> {
    const { table, policy } = counted;
    const states = table.states(first, first + entrySubjects);
    if (states.length === 0) return undefined;
    const sinceStart = this.#epochMs();
    const body: (string | number[])[] = [];
    for (const { subject, runs } of states) {
      body.push(
        subject,
        runs.map((value, place) => (place % 2 === 0 ? Math.ceil(value + sinceStart) : value)),
      );
    }
    const entry = this.#entry(policy, "snapshot", body);
    try {
      const n = await this.#parts.log.append([entry]);
      counted.compacted += entry.body.length;
      table.settle(states, true);
      return n;
    } catch (error) {
      table.settle(states, false);
      throw error;
    }
  }

  /**
   * Does `work` when no other is under way: a save that finds nothing to write would else end before
   * what a snapshot has taken along is on disk.
   */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  #mark(): string {
    // What is kept or resized while it is on its way needs another.
    this.#isMarkRight = true;
    return JSON.stringify(this.#counted.map(({ policy, table }) => [policy.name, table.ahead]));
  }

  /** What makes an instant of the epoch of one that is counted from the start of the process. */
  #epochMs(): number {
    return this.#parts.clock.now() - this.#parts.elapsed();
  }
}

/** True when writing anew shortens the log: most of its subjects are in it more than once. */
function isLong({ written, compacted, spendings, table }: Counted): boolean {
  return written >= Math.max(leastCompacted, 2 * compacted) && spendings >= 2 * table.size;
}

/**
 * What one subject may spend of `policy` ahead of the log, and everybody lacks for one window after a
 * crash: a sixteenth. Of less than 16 it would be a greater part, which only a short window bears.
 */
export function aheadOf({ limit, windowMs }: LimitPolicy): number {
  const sixteenth = Math.floor(limit / 16);
  return windowMs <= 60_000 ? Math.max(1, sixteenth) : sixteenth;
}
