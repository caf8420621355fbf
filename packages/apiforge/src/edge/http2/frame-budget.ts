import type { Clock } from "../../kernel/index.ts";

/** gRPC clients measure the line with pings while much arrives, one at a time. */
const framesPerWindow = 1_000;
const windowMs = 10_000;

/**
 * How many frames a connection may send that cost the server an answer and the client nothing: PING
 * and SETTINGS. nghttp2 bounds the answers that wait (1,000), not those that a client reads.
 */
export class FrameBudget {
  readonly #clock: Clock;
  #windowAt: number;
  #frames = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#windowAt = clock.now();
  }

  /** Counts one frame; false when it is one too many. */
  spend(): boolean {
    const now = this.#clock.now();
    if (now - this.#windowAt >= windowMs) {
      this.#windowAt = now;
      this.#frames = 0;
    }
    this.#frames += 1;
    return this.#frames <= framesPerWindow;
  }
}
