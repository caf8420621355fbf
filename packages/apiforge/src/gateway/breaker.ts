import type { Clock } from "../kernel/index.ts";

/** `closed`: requests pass. `open`: none do. `half-open`: one does, and decides. */
export type BreakerState = "closed" | "open" | "half-open";

/** When an endpoint is left alone. */
export interface BreakerOptions {
  /** Failures in a row that open it; default 5. */
  readonly failures?: number;
  /** How long it stays open the first time, doubled each time that its probe fails, up to 60,000 ms; default 5,000. */
  readonly openMs?: number;
}

const longestOpenMs = 60_000;

/** Keeps requests from an endpoint that fails, and finds out by one of them whether it is back. */
export class Breaker {
  readonly #clock: Clock;
  readonly #failures: number;
  readonly #openMs: number;
  #inARow = 0;
  #nextOpenMs: number;
  /** By the clock; 0 while it is closed. */
  #openUntilAt = 0;
  /** Whose request finds out whether it is back. */
  #probe: object | undefined;

  constructor(clock: Clock, { failures = 5, openMs = 5_000 }: BreakerOptions = {}) {
    this.#clock = clock;
    this.#failures = failures;
    this.#openMs = openMs;
    this.#nextOpenMs = openMs;
  }

  get state(): BreakerState {
    if (this.#openUntilAt === 0) return "closed";
    return this.#clock.now() < this.#openUntilAt ? "open" : "half-open";
  }

  /** Whether a request may pass now. */
  get allows(): boolean {
    if (this.#openUntilAt === 0) return true;
    return this.#probe === undefined && this.#clock.now() >= this.#openUntilAt;
  }

  /** A request of `by` passes that {@link allows} let. */
  begin(by: object): void {
    if (this.#openUntilAt !== 0) this.#probe = by;
  }

  /** It is over, whatever came of it. One that began before is not the probe. */
  end(by: object): void {
    if (this.#probe === by) this.#probe = undefined;
  }

  /** A head has come, so it is there. Only a whole answer makes its failures forgotten: a stream may last for hours, or be cut. */
  answer(): void {
    this.#openUntilAt = 0;
    this.#probe = undefined;
  }

  /** A whole answer has come. */
  succeed(): void {
    this.#inARow = 0;
    this.answer();
    this.#nextOpenMs = this.#openMs;
  }

  fail(): void {
    this.#inARow += 1;
    const now = this.#clock.now();
    // Requests that were under way when it opened say nothing new.
    if (this.#inARow < this.#failures || now < this.#openUntilAt) return;
    this.#openUntilAt = now + this.#nextOpenMs;
    this.#nextOpenMs = Math.min(2 * this.#nextOpenMs, longestOpenMs);
  }
}
