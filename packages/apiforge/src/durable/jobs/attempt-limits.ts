import type { Clock, Timer } from "../../kernel/index.ts";
import type { Attempt } from "./attempt.ts";

/**
 * Aborts attempts that run out of time. One timer watches all attempts of a queue: most end in the
 * turn of the event loop in which they began, and a timer each cost more than such an attempt.
 */
export class AttemptLimits {
  readonly #clock: Clock;
  readonly #running: ReadonlySet<Attempt>;
  #timer: Timer | undefined;
  #armedFor = Infinity;

  /** @param running the attempts to be watched, those that are still to come included. */
  constructor(clock: Clock, running: ReadonlySet<Attempt>) {
    this.#clock = clock;
    this.#running = running;
  }

  /** Watches an attempt that has begun. */
  watch({ dueAt }: Attempt): void {
    if (dueAt < this.#armedFor) this.#arm(dueAt);
  }

  /** Leaves no timer; to be called when nothing runs. */
  rest(): void {
    this.#timer?.cancel();
    this.#armedFor = Infinity;
  }

  #arm(dueAt: number): void {
    this.#timer?.cancel();
    this.#armedFor = dueAt;
    this.#timer = this.#clock.after(dueAt - this.#clock.now(), () => this.#look());
  }

  #look(): void {
    this.#armedFor = Infinity;
    const now = this.#clock.now();
    let next = Infinity;
    for (const attempt of this.#running) {
      if (attempt.dueAt <= now) attempt.expire();
      else next = Math.min(next, attempt.dueAt);
    }
    if (next < Infinity) this.#arm(next);
  }
}
