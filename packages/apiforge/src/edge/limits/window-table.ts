import type { Counter, Standing } from "./counter.ts";
import { RunArena } from "./run-arena.ts";
import { SubjectIndex } from "./subject-index.ts";
import { Unsaved } from "./unsaved.ts";

/** What a {@link WindowTable} counts. */
export interface WindowTableOptions {
  readonly limit: number;
  readonly windowMs: number;
  /** Subjects that are told apart; those above share one count until they have room. Default 4,000,000. */
  readonly maxSubjects?: number;
  /**
   * Of one subject's, so much may be on no disk yet while its requests go on; 0 lets none go on before.
   * Absent, nothing is written.
   */
  readonly ahead?: number;
}

/** What a write takes along: spent by a subject since it was written last. */
export interface Spending {
  readonly index: number;
  readonly subject: string;
  readonly count: number;
  /** All of it counts as if it had been spent then, with the last of it. */
  readonly at: number;
}

/** What a write takes along, and where the next goes on; undefined when there is no more. */
export interface Spendings {
  readonly spendings: readonly Spending[];
  readonly next: number | undefined;
}

/** All that counts of a subject, in place of what was written of it before. */
export interface SubjectState extends Spending {
  /** (instant, count), oldest first, flat. */
  readonly runs: readonly number[];
}

/** Up to this limit every admission is remembered by its own instant. */
export const exactRuns = 128;
const defaultMaxSubjects = 4_000_000;
/** Entries that a new subject looks at for one to take the place of; above 1, so a table shrinks by itself. */
const sweepSteps = 2;
const overflowSubject = "\0overflow";

/**
 * Instants are kept to this; 0 keeps them as they are. A larger limit keeps one run for each 128th of its
 * window, every admission of which counts as if it had come at the run's end: a subject is never
 * given one too many, and gets back what it spent at most a 128th of the window later.
 */
export function resolutionOf(limit: number, windowMs: number): number {
  return limit <= exactRuns ? 0 : windowMs / exactRuns;
}

/**
 * A sliding window for each subject: in no interval of `windowMs` are more than `limit` taken, by
 * whatever order of calls. O(1) amortised; no timers. Subjects of which nothing counts any more make
 * room for new ones.
 */
export class WindowTable implements Counter {
  #limit: number;
  readonly #windowMs: number;
  #resolutionMs: number;
  readonly #maxSubjects: number;
  readonly #subjects = new SubjectIndex();
  /** Number of the subject that stands for all without a number. */
  #overflow: number | undefined;
  readonly #runs = new RunArena();
  readonly #unsaved: Unsaved | undefined;
  /** What everybody may have spent that nobody wrote down: (instant, count). */
  #debts: readonly (readonly [at: number, count: number])[] = [];
  #sweepAt = 0;
  #elapsedMs = 0;
  /** See {@link WindowTableOptions.ahead}. */
  ahead: number;

  constructor({ limit, windowMs, maxSubjects = defaultMaxSubjects, ahead }: WindowTableOptions) {
    this.ahead = ahead ?? Number.POSITIVE_INFINITY;
    if (ahead !== undefined) this.#unsaved = new Unsaved();
    this.#limit = limit;
    this.#windowMs = windowMs;
    this.#resolutionMs = resolutionOf(limit, windowMs);
    this.#maxSubjects = maxSubjects;
  }

  /** Subjects in memory. */
  get size(): number {
    return this.#subjects.size;
  }

  look(subject: string, elapsedMs: number): Standing {
    this.#advance(elapsedMs);
    const index = this.#indexOf(subject);
    if (this.#debts.length > 0) return this.#lookInDebt(index);
    if (index === undefined) return { remaining: this.#limit, resetInMs: 0 };
    this.#runs.dropUntil(index, this.#elapsedMs - this.#windowMs);
    const spent = this.#runs.total(index);
    if (spent === 0) return { remaining: this.#limit, resetInMs: 0 };
    return {
      remaining: Math.max(0, this.#limit - spent),
      resetInMs: this.#runs.oldest(index) + this.#windowMs - this.#elapsedMs,
    };
  }

  #lookInDebt(index: number | undefined): Standing {
    const since = this.#elapsedMs - this.#windowMs;
    this.#debts = this.#debts.filter(([at]) => at > since);
    let spent = 0;
    let oldest = Number.POSITIVE_INFINITY;
    for (const [at, count] of this.#debts) {
      spent += count;
      oldest = Math.min(oldest, at);
    }
    if (index !== undefined) {
      this.#runs.dropUntil(index, since);
      const own = this.#runs.total(index);
      if (own > 0) oldest = Math.min(oldest, this.#runs.oldest(index));
      spent += own;
    }
    if (spent === 0) return { remaining: this.#limit, resetInMs: 0 };
    return { remaining: Math.max(0, this.#limit - spent), resetInMs: oldest - since };
  }

  take(subject: string, elapsedMs: number): number {
    this.#advance(elapsedMs);
    const at = this.#runEnd();
    const index = this.#indexOf(subject) ?? this.#enter(subject);
    this.#runs.add(index, at, 1);
    this.#unsaved?.add(index, 1);
    return at;
  }

  giveBack(subject: string, receipt: number): void {
    const index = this.#indexOf(subject);
    if (index === undefined) return;
    const newest = this.#runs.newest(index);
    // What was spent before the newest may be written already, and then stays so.
    if (this.#runs.remove(index, receipt) && receipt === newest) this.#unsaved?.takeBack(index);
  }

  /** What was counted finely may go on coarsely, but not the reverse: nobody is given one too many. */
  resize(limit: number): void {
    this.#limit = limit;
    this.#resolutionMs = Math.max(this.#resolutionMs, resolutionOf(limit, this.#windowMs));
  }

  /** True when more of the subject's is on no disk yet than may be. */
  owes(subject: string): boolean {
    const index = this.#indexOf(subject);
    return index !== undefined && (this.#unsaved?.owed(index) ?? 0) > this.ahead;
  }

  /** True when there is something to write. */
  get isTouched(): boolean {
    return this.#unsaved?.isTouched ?? false;
  }

  /**
   * Takes what at most `most` subjects spent to be written, from the number `first` on; each is to be
   * told to {@link settle}.
   */
  unwritten(first: number, most: number): Spendings {
    const touched = this.#unsaved?.touched(first, most);
    const spendings: Spending[] = [];
    for (const index of touched?.indexes ?? []) {
      const count = this.#unsaved?.take(index) ?? 0;
      const subject = count === 0 ? undefined : this.#subjects.text(index);
      if (subject === undefined) continue;
      const at = this.#runs.newest(index);
      if (at === Number.NEGATIVE_INFINITY) this.#unsaved?.saved(index, count);
      else spendings.push({ index, subject, count, at });
    }
    return { spendings, next: touched?.next };
  }

  /** What is to be written of the subjects with the numbers from `first` up to `end`. */
  states(first: number, end: number): readonly SubjectState[] {
    const states: SubjectState[] = [];
    for (let index = first; index < Math.min(end, this.#subjects.capacity); index++) {
      const subject = this.#counts(index) ? this.#subjects.text(index) : undefined;
      if (subject === undefined) continue;
      const count = this.#unsaved?.take(index) ?? 0;
      const at = this.#runs.newest(index);
      states.push({ index, subject, count, at, runs: this.#runs.entries(index) });
    }
    return states;
  }

  /** Highest number of a subject, and one. */
  get capacity(): number {
    return this.#subjects.capacity;
  }

  /** What was taken to be written is on disk, or is to be written again. */
  settle(spendings: readonly Spending[], isSaved: boolean): void {
    for (const { index, count } of spendings) {
      if (isSaved) this.#unsaved?.saved(index, count);
      else if (count > 0) this.#unsaved?.failed(index, count);
    }
  }

  /** Adds what was spent in an earlier process; in the order in which it was. */
  restore(subject: string, at: number, count: number): void {
    const index = this.#subjects.find(subject) ?? this.#enter(subject);
    const kept = this.#resolutionMs === 0 ? at : this.#endOf(at);
    this.#runs.add(index, kept, count);
  }

  /** Counts `count` against every subject, as if spent at `at`. */
  addDebt(at: number, count: number): void {
    if (count > 0) this.#debts = [...this.#debts, [at, count]];
  }

  // A clock that is set back stands still here, so that nothing is forgotten too early.
  #advance(elapsedMs: number): void {
    if (elapsedMs > this.#elapsedMs) this.#elapsedMs = elapsedMs;
  }

  #runEnd(): number {
    return this.#resolutionMs === 0 ? this.#elapsedMs : this.#endOf(this.#elapsedMs);
  }

  #endOf(at: number): number {
    return (Math.floor(at / this.#resolutionMs) + 1) * this.#resolutionMs;
  }

  #indexOf(subject: string): number | undefined {
    const index = this.#subjects.find(subject);
    if (index !== undefined || this.#overflow === undefined) return index;
    // Of a subject without an entry it is not known what it spent there, so all of it counts.
    if (this.#counts(this.#overflow)) return this.#overflow;
    this.#evict(this.#overflow);
    return undefined;
  }

  #enter(subject: string): number {
    this.#sweep();
    const isFull = this.#subjects.size >= this.#maxSubjects;
    const name = isFull ? overflowSubject : subject;
    const known = isFull ? this.#overflow : undefined;
    if (known !== undefined) return known;
    const index = this.#runs.open();
    this.#subjects.add(name, index);
    if (name === overflowSubject) this.#overflow = index;
    return index;
  }

  #sweep(): void {
    const { capacity } = this.#subjects;
    if (capacity === 0) return;
    for (let step = 0; step < sweepSteps; step++) {
      this.#sweepAt = (this.#sweepAt + 1) % capacity;
      if (!this.#counts(this.#sweepAt)) this.#evict(this.#sweepAt);
    }
  }

  #counts(index: number): boolean {
    return this.#runs.newest(index) + this.#windowMs > this.#elapsedMs;
  }

  #evict(index: number): void {
    // Its number would be another's when the write that has it along ends.
    if (!this.#subjects.has(index) || (this.#unsaved?.owed(index) ?? 0) > 0) return;
    this.#subjects.delete(index);
    this.#runs.close(index);
    if (index === this.#overflow) this.#overflow = undefined;
  }
}
