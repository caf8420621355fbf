import type { Counter, Standing } from "./counter.ts";
import { RunArena } from "./run-arena.ts";

/** What a {@link WindowTable} counts. */
export interface WindowTableOptions {
  readonly limit: number;
  readonly windowMs: number;
  /** Subjects that are told apart; those above share one count until they have room. Default 4,000,000. */
  readonly maxSubjects?: number;
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
  readonly #limit: number;
  readonly #windowMs: number;
  readonly #resolutionMs: number;
  readonly #maxSubjects: number;
  readonly #indexes = new Map<string, number>();
  readonly #subjects: (string | undefined)[] = [];
  readonly #runs = new RunArena();
  #sweepAt = 0;
  #elapsedMs = 0;

  constructor({ limit, windowMs, maxSubjects = defaultMaxSubjects }: WindowTableOptions) {
    this.#limit = limit;
    this.#windowMs = windowMs;
    this.#resolutionMs = resolutionOf(limit, windowMs);
    this.#maxSubjects = maxSubjects;
  }

  /** Subjects in memory. */
  get size(): number {
    return this.#indexes.size;
  }

  look(subject: string, elapsedMs: number): Standing {
    this.#advance(elapsedMs);
    const index = this.#indexOf(subject);
    if (index === undefined) return { remaining: this.#limit, resetInMs: 0 };
    this.#runs.dropUntil(index, this.#elapsedMs - this.#windowMs);
    const spent = this.#runs.total(index);
    if (spent === 0) return { remaining: this.#limit, resetInMs: 0 };
    return {
      remaining: Math.max(0, this.#limit - spent),
      resetInMs: this.#runs.oldest(index) + this.#windowMs - this.#elapsedMs,
    };
  }

  take(subject: string, elapsedMs: number): number {
    this.#advance(elapsedMs);
    const at = this.#runEnd();
    this.#runs.add(this.#indexOf(subject) ?? this.#enter(subject), at, 1);
    return at;
  }

  giveBack(subject: string, receipt: number): void {
    const index = this.#indexOf(subject);
    if (index !== undefined) this.#runs.remove(index, receipt);
  }

  // A clock that is set back stands still here, so that nothing is forgotten too early.
  #advance(elapsedMs: number): void {
    if (elapsedMs > this.#elapsedMs) this.#elapsedMs = elapsedMs;
  }

  #runEnd(): number {
    if (this.#resolutionMs === 0) return this.#elapsedMs;
    return (Math.floor(this.#elapsedMs / this.#resolutionMs) + 1) * this.#resolutionMs;
  }

  #indexOf(subject: string): number | undefined {
    const index = this.#indexes.get(subject);
    if (index !== undefined) return index;
    const overflow = this.#indexes.get(overflowSubject);
    if (overflow === undefined) return undefined;
    // Of a subject without an entry it is not known what it spent there, so all of it counts.
    if (this.#counts(overflow)) return overflow;
    this.#evict(overflow);
    return undefined;
  }

  #enter(subject: string): number {
    this.#sweep();
    const isFull = this.#indexes.size >= this.#maxSubjects;
    const index = this.#runs.open();
    const name = isFull ? overflowSubject : subject;
    this.#indexes.set(name, index);
    this.#subjects[index] = name;
    return index;
  }

  #sweep(): void {
    for (let step = 0; step < sweepSteps && this.#subjects.length > 0; step++) {
      this.#sweepAt = (this.#sweepAt + 1) % this.#subjects.length;
      if (this.#subjects[this.#sweepAt] !== undefined && !this.#counts(this.#sweepAt)) {
        this.#evict(this.#sweepAt);
      }
    }
  }

  #counts(index: number): boolean {
    return this.#runs.newest(index) + this.#windowMs > this.#elapsedMs;
  }

  #evict(index: number): void {
    const subject = this.#subjects[index];
    if (subject === undefined) return;
    this.#indexes.delete(subject);
    this.#subjects[index] = undefined;
    this.#runs.close(index);
  }
}
