import type { Clock } from "../kernel/index.ts";

/** What an attempt waits for. */
export type Phase = "connect" | "head" | "body" | "client" | "tunnel" | "arrival";

/** How long an attempt may take in each phase, in milliseconds. */
export type PhaseLimits = Readonly<Record<Phase, number>>;

/** One that may wait too long. */
export interface Waiting {
  readonly phase: Phase;
  /** By the clock, when the phase began or last saw a byte. */
  readonly sinceAt: number;
  /** Where {@link PhaseWatch} has it; nobody else's. */
  place: number;
  /** It has waited too long. */
  expire(phase: Phase): void;
}

const checkMs = 250;

/**
 * Looks after all attempts of an upstream with one timer: a timer of its own costs each request
 * more than its place in a list. A limit is met within {@link checkMs}.
 *
 * The list is no `Set`: V8 has each outgrown table of a set point to the next one, and what a dead table
 * holds lives on until the old generation is collected. That kept half of all requests alive: a heap
 * of 140 MB instead of 40, and pauses of 15 ms and more.
 */
export class PhaseWatch {
  readonly clock: Clock;
  readonly #limits: PhaseLimits;
  readonly #waiting: Waiting[] = [];
  #isWatching = false;

  constructor(clock: Clock, limits: PhaseLimits) {
    this.clock = clock;
    this.#limits = limits;
  }

  add(waiting: Waiting): void {
    waiting.place = this.#waiting.push(waiting) - 1;
    if (!this.#isWatching) this.#watch();
  }

  /** For one that was added, once. */
  delete({ place }: Waiting): void {
    const last = this.#waiting.pop();
    if (last === undefined || last.place === place) return;
    last.place = place;
    this.#waiting[place] = last;
  }

  #check(): void {
    const now = this.clock.now();
    // From the end: one that is deleted is replaced by one that has been looked at.
    for (let index = this.#waiting.length - 1; index >= 0; index -= 1) {
      const waiting = this.#waiting[index];
      if (waiting === undefined) continue;
      const { phase, sinceAt } = waiting;
      if (now - sinceAt >= this.#limits[phase]) waiting.expire(phase);
    }
    this.#isWatching = false;
    if (this.#waiting.length > 0) this.#watch();
  }

  #watch(): void {
    this.#isWatching = true;
    this.clock.after(checkMs, () => this.#check());
  }
}
