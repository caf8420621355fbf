import type { Clock } from "../kernel/index.ts";

const perRequest = 0.2;
const floor = 3;
const floorMs = 10_000;
/** What quiet times save up: no burst of retries is larger. */
const most = 50;

/**
 * How many retries an upstream may be given: a fifth of its requests, and three in 10 s where it has
 * few. So an upstream that fails is asked at most 1.2 times as much as one that does not.
 */
export class RetryBudget {
  readonly #clock: Clock;
  #balance = floor;
  #flooredAt: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#flooredAt = clock.now();
  }

  /** A request has come, not counting its retries. */
  deposit(): void {
    this.#balance = Math.min(most, this.#balance + perRequest);
  }

  /** Takes one retry; false when there is none left. */
  withdraw(): boolean {
    const now = this.#clock.now();
    if (now - this.#flooredAt >= floorMs) {
      this.#flooredAt = now;
      this.#balance = Math.max(this.#balance, floor);
    }
    if (this.#balance < 1) return false;
    this.#balance -= 1;
    return true;
  }
}
