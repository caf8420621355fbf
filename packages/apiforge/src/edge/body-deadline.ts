import type { IncomingMessage } from "node:http";

import type { Clock } from "../kernel/index.ts";
import { answerClientError } from "./client-error.ts";
import { edgeError } from "./errors.ts";
import { bytesReadOf, http2RequestOf } from "./http2/http2-request.ts";

/** How long a body may take. */
export interface BodyLimits {
  /** For all of it. */
  readonly totalMs: number;
  /** Without a single byte. */
  readonly idleMs: number;
  /** Below this rate, averaged over `idleMs`, it counts as idle. */
  readonly minBytesPerSecond: number;
  /** How often they are looked at. */
  readonly checkMs: number;
}

interface Arrival {
  readonly beganAt: number;
  /** Since when the rate is measured, and what the socket had brought then. */
  measuredAt: number;
  bytes: number;
}

/**
 * Refuses bodies that do not arrive in time. Node has one limit for the whole server and for all of
 * a request, which a route that takes millions of items raises; these hold for the other routes.
 */
export class BodyDeadline {
  readonly #clock: Clock;
  readonly #limits: BodyLimits;
  /** Requests whose body is not read yet. */
  readonly #pending = new Map<IncomingMessage, Arrival>();
  #isWatching = false;

  constructor(clock: Clock, limits: BodyLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  begin(request: IncomingMessage): void {
    const beganAt = this.#clock.now();
    this.#pending.set(request, {
      beganAt,
      measuredAt: beganAt,
      bytes: bytesReadOf(request),
    });
    // One timer for all: a timer of its own would cost each request more than its entry.
    if (!this.#isWatching) this.#watch();
  }

  /** The body has been read. */
  end(request: IncomingMessage): void {
    if (this.#pending.size > 0) this.#pending.delete(request);
  }

  #check(): void {
    const now = this.#clock.now();
    for (const [request, arrival] of this.#pending) {
      const isOver = request.complete || request.destroyed;
      if (!isOver && !this.#isLate(arrival, bytesReadOf(request), now)) continue;
      this.#pending.delete(request);
      if (!isOver) refuse(request);
    }
    this.#isWatching = false;
    if (this.#pending.size > 0) this.#watch();
  }

  #isLate(arrival: Arrival, bytes: number, now: number): boolean {
    const { totalMs, idleMs, minBytesPerSecond } = this.#limits;
    if (now - arrival.beganAt >= totalMs) return true;
    const measuredMs = now - arrival.measuredAt;
    if (measuredMs < idleMs) return false;
    if ((bytes - arrival.bytes) * 1_000 < minBytesPerSecond * measuredMs) return true;
    arrival.measuredAt = now;
    arrival.bytes = bytes;
    return false;
  }

  #watch(): void {
    this.#isWatching = true;
    this.#clock.after(this.#limits.checkMs, () => this.#check());
  }
}

/** Of HTTP/2 the connection has other requests, and this one's error reaches who reads its body. */
function refuse(request: IncomingMessage): void {
  const http2 = http2RequestOf(request);
  if (http2 === undefined) answerClientError(bodyTimeout(), request.socket);
  else http2.destroy(edgeError("request_timeout", "The request did not arrive in time"));
}

/** As Node reports its own limit. */
function bodyTimeout(): Error & { code: string } {
  return Object.assign(new Error("Request timeout"), { code: "ERR_HTTP_REQUEST_TIMEOUT" });
}
