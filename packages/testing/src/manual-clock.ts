import type { Clock, Timer } from "apiforge/internal/kernel";

interface Pending {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #now: number;
  /** In the order in which they were set; equal instants run in that order. */
  readonly #timers = new Set<Pending>();

  /** @param nowMs where the clock starts, in milliseconds since the Unix epoch. */
  constructor(nowMs: number = Date.UTC(2030, 0, 1)) {
    this.#now = nowMs;
  }

  now(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = { at: this.#now + Math.max(0, delayMs), callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** Timers that have neither run nor been cancelled. */
  get pending(): number {
    return this.#timers.size;
  }

  /**
   * Moves the clock by `ms` and runs what becomes due on the way, each at its own instant, timers
   * that these set included. A negative `ms` sets the clock back and runs nothing.
   */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let due = this.#firstDue(end); due !== undefined; due = this.#firstDue(end)) {
      this.#timers.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.callback();
    }
    this.#now = end;
  }

  #firstDue(end: number): Pending | undefined {
    let first: Pending | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= end && (first === undefined || timer.at < first.at)) first = timer;
    }
    return first;
  }
}
