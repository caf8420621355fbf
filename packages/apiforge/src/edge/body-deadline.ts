import type { IncomingMessage } from "node:http";

import type { Clock } from "../kernel/index.ts";
import { answerClientError } from "./client-error.ts";

/**
 * Refuses bodies that do not arrive in time. Node has one such limit for the whole server, which a
 * route that takes millions of items raises for all; the other routes keep theirs by this one.
 */
export class BodyDeadline {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #checkMs: number;
  /** When each request began whose body is not read yet, oldest first. */
  readonly #pending = new Map<IncomingMessage, number>();
  #isWatching = false;

  constructor(clock: Clock, limitMs: number, checkMs: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#checkMs = checkMs;
  }

  begin(request: IncomingMessage): void {
    this.#pending.set(request, this.#clock.now());
    // One timer for all: a timer of its own would cost each request more than its entry.
    if (!this.#isWatching) this.#watch();
  }

  /** The body has been read. */
  end(request: IncomingMessage): void {
    this.#pending.delete(request);
  }

  #check(): void {
    const oldestAt = this.#clock.now() - this.#limitMs;
    for (const [request, beganAt] of this.#pending) {
      const isOver = request.complete || request.destroyed;
      if (!isOver && beganAt > oldestAt) continue;
      this.#pending.delete(request);
      if (!isOver) answerClientError(bodyTimeout(), request.socket);
    }
    this.#isWatching = false;
    if (this.#pending.size > 0) this.#watch();
  }

  #watch(): void {
    this.#isWatching = true;
    this.#clock.after(this.#checkMs, () => this.#check());
  }
}

/** As Node reports its own limit. */
function bodyTimeout(): Error & { code: string } {
  return Object.assign(new Error("Request timeout"), { code: "ERR_HTTP_REQUEST_TIMEOUT" });
}
