import type { ServerResponse } from "node:http";

import type { Log, LogFields } from "../kernel/index.ts";
import type { Principal } from "./auth/principal.ts";

/** What is known about a request apart from its content. */
export interface RequestInfo {
  /** The `X-Request-Id` of request and answer. */
  readonly id: string;
  /** The caller's W3C trace context when it sent a valid one. */
  readonly traceparent: string | undefined;
  /** Writes lines that carry the request's id and trace. */
  readonly log: Log;
  /** Aborts when the client has gone, or the server stops: for what goes on after the handler, such as a stream. */
  readonly signal: AbortSignal;
}

/** One request on its way through the stages; each stage fills in what it finds out. */
export class Exchange implements RequestInfo {
  readonly id: string;
  readonly traceparent: string | undefined;
  principal: Principal | undefined = undefined;
  readonly #log: Log;
  readonly #response: ServerResponse;
  readonly #closing: AbortSignal;
  #requestLog: Log | undefined = undefined;
  #signal: AbortSignal | undefined = undefined;

  constructor(
    id: string,
    traceparent: string | undefined,
    log: Log,
    response: ServerResponse,
    closing: AbortSignal,
  ) {
    this.id = id;
    this.traceparent = traceparent;
    this.#log = log;
    this.#response = response;
    this.#closing = closing;
  }

  get signal(): AbortSignal {
    this.#signal ??= endOf(this.#response, this.#closing);
    return this.#signal;
  }

  get log(): Log {
    this.#requestLog ??= withFields(this.#log, this.#fields());
    return this.#requestLog;
  }

  #fields(): LogFields {
    if (this.traceparent === undefined) return { requestId: this.id };
    return { requestId: this.id, traceId: this.traceparent.slice(3, 35) };
  }
}

function endOf(response: ServerResponse, closing: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => {
    closing.removeEventListener("abort", abort);
    controller.abort();
  };
  response.once("close", abort);
  closing.addEventListener("abort", abort, { once: true });
  if (closing.aborted || response.closed) abort();
  return controller.signal;
}

function withFields(log: Log, bound: LogFields): Log {
  return {
    debug: (fields, message) => log.debug({ ...bound, ...fields }, message),
    info: (fields, message) => log.info({ ...bound, ...fields }, message),
    warn: (fields, message) => log.warn({ ...bound, ...fields }, message),
    error: (fields, message) => log.error({ ...bound, ...fields }, message),
  };
}

declare module "fastify" {
  interface FastifyRequest {
    /** Set by the first stage. */
    exchange: Exchange;
  }
}
