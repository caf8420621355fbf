import type { Clock } from "../kernel/index.ts";

/** What an attempt waits for. */
export type Phase = "connect" | "head" | "body" | "client" | "tunnel";

/** How long an attempt may take in each phase, in milliseconds. */
export type PhaseLimits = Readonly<Record<Phase, number>>;

/** One that may wait too long. */
export interface Waiting {
  readonly phase: Phase;
  /** By the clock, when the phase began or last saw a byte. */
  readonly sinceAt: number;
  /** It has waited too long. */
  expire(phase: Phase): void;
}

const checkMs = 250;

/**
 * Looks after all attempts of an upstream with one timer: a timer of its own costs each request
 * more than its entry in a set. A limit is met within {@link checkMs}.
 */
export class PhaseWatch {
  readonly clock: Clock;
  readonly #limits: PhaseLimits;
  readonly #waiting = new Set<Waiting>();
  #isWatching = false;

  constructor(clock: Clock, limits: PhaseLimits) {
    this.clock = clock;
    this.#limits = limits;
  }

  add(waiting: Waiting): void {
    this.#waiting.add(waiting);
    if (!this.#isWatching) this.#watch();
  }

  delete(waiting: Waiting): void {
    this.#waiting.delete(waiting);
  }

  #check(): void {
    const now = this.clock.now();
    for (const waiting of this.#waiting) {
      const { phase, sinceAt } = waiting;
      if (now - sinceAt >= this.#limits[phase]) waiting.expire(phase);
    }
    this.#isWatching = false;
    if (this.#waiting.size > 0) this.#watch();
  }

  #watch(): void {
    this.#isWatching = true;
    this.clock.after(checkMs, () => this.#check());
  }
}
