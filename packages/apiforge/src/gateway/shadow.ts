import type { Dispatcher } from "undici";

import type { Exchange } from "../edge/index.ts";
import { Attempt, type AttemptEnd, type AttemptOwner } from "./attempt.ts";
import type { Endpoint } from "./endpoint.ts";
import { EvenSpread } from "./even-spread.ts";
import { shadowField } from "./identity.ts";
import type { Upstream } from "./upstream.ts";

/** Where copies of a route's requests are sent; what is answered there is thrown away. */
export interface ShadowOptions {
  readonly upstream: Upstream;
  /** Of the requests that can be copied, 0 to 1; default 1. */
  readonly share?: number;
  /** Copies under way; more are not made. Default 64. */
  readonly maxPending?: number;
}

const defaultMaxPending = 64;
const nothingTried: ReadonlySet<Endpoint> = new Set();

/** A request as it is copied; a body that streams can be read once only, and is not. */
export interface CopiedRequest {
  readonly method: string;
  /** Without the endpoint's own path. */
  readonly path: string;
  readonly headers: readonly string[];
  readonly body: Buffer | null;
}

/** Sends copies of requests, after the real ones and without anybody waiting for them. */
export class Shadow {
  readonly upstream: Upstream;
  readonly #share: number;
  readonly #maxPending: number;
  readonly #spread = new EvenSpread();
  #pending = 0;

  /** @throws {TypeError} for a share that is none. */
  constructor({ upstream, share = 1, maxPending = defaultMaxPending }: ShadowOptions) {
    if (!(share >= 0 && share <= 1)) throw new TypeError("The share of a shadow is 0 to 1");
    this.upstream = upstream;
    this.#share = share;
    this.#maxPending = maxPending;
  }

  /** Sends a copy where there is room for one. Never throws. */
  send(exchange: Exchange, request: CopiedRequest): void {
    if (this.#spread.next() >= this.#share) return;
    if (this.#pending >= this.#maxPending) return;
    try {
      const endpoint = this.upstream.pick(exchange, nothingTried);
      if (endpoint === undefined || !this.upstream.enter()) return;
      this.#pending += 1;
      const copy = new Copy(this.upstream, endpoint, () => (this.#pending -= 1));
      copy.send(request);
    } catch (error) {
      exchange.log.warn({ err: error }, "a copy of a request could not be sent");
    }
  }
}

/** One copy on its way. */
class Copy implements AttemptOwner {
  readonly isPersonal = false;
  readonly #upstream: Upstream;
  readonly #endpoint: Endpoint;
  readonly #over: () => void;

  constructor(upstream: Upstream, endpoint: Endpoint, over: () => void) {
    this.#upstream = upstream;
    this.#endpoint = endpoint;
    this.#over = over;
  }

  send({ method, path, headers, body }: CopiedRequest): void {
    const endpoint = this.#endpoint;
    endpoint.pending += 1;
    endpoint.breaker.begin();
    const attempt = new Attempt(this, this.#upstream.watch);
    const options: Dispatcher.DispatchOptions = {
      method,
      path: endpoint.basePath + path,
      headers: marked(headers),
      body,
      idempotent: false,
    };
    endpoint.dispatch(options, attempt);
  }

  inform(): void {
    // Nobody is told.
  }

  answered(attempt: Attempt): void {
    this.#endpoint.breaker.answer();
    attempt.collect({ take: () => undefined, end: () => undefined });
  }

  upgraded(attempt: Attempt, _fields: unknown, socket: { destroy(): void }): void {
    socket.destroy();
    this.ended(attempt, "none");
  }

  failed(): void {
    this.#endpoint.breaker.fail();
  }

  ended(_attempt: Attempt, how: AttemptEnd): void {
    const endpoint = this.#endpoint;
    endpoint.pending -= 1;
    if (how === "whole") endpoint.breaker.succeed();
    endpoint.breaker.end();
    this.#upstream.leave();
    this.#over();
  }
}

/** Nobody else's word counts for what a copy is. */
function marked(headers: readonly string[]): string[] {
  const sent: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? "";
    if (name !== shadowField) sent.push(name, headers[index + 1] ?? "");
  }
  sent.push(shadowField, "true");
  return sent;
}
