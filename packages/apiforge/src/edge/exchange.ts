import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { Context, Span } from "@opentelemetry/api";
import type { FastifyReply, FastifyRequest } from "fastify";

import type { IdempotencyKey, UpstreamCall } from "../durable/index.ts";
import type { Log, LogFields } from "../kernel/index.ts";
import type { Principal } from "./auth/principal.ts";
import type { AskedFields } from "./fields/sparse-fields.ts";
import type { Admission } from "./limits/limiter.ts";
import type { StageTimings } from "./evidence/server-timing.ts";
import { validateHeaderName, validateHeaderValue } from "./node-http.ts";
import type { HeadLines } from "./head-lines.ts";
import type { Outgoing } from "./outgoing.ts";
import type { RouteStages } from "./route-stages.ts";
import type { Route } from "./route.ts";
import type { ValidRequest } from "./stages/validate.ts";

/** What is known about a request apart from its content. */
export interface RequestInfo {
  /** The `X-Request-Id` of request and answer. */
  readonly id: string;
  /** The caller's W3C trace context when it sent a valid one. */
  readonly traceparent: string | undefined;
  /** Writes lines that carry the request's id and trace. */
  readonly log: Log;
  /**
   * Thumbprint (`x5t#S256`) of the client certificate, on a route whose `certificate` asks for it. Of a
   * `noted` one nothing is proved but that the caller has its key.
   */
  readonly certificate: string | undefined;
  /** Aborts when the client has gone, or the server stops: for what goes on after the handler, such as a stream. */
  readonly signal: AbortSignal;
}

const notThere = -1;

/** One request on its way through the stages; each stage fills in what it finds out. */
export class Exchange implements RequestInfo {
  readonly id: string;
  /** Undefined for what no route answers. */
  readonly route: Route | undefined;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Set by `correlate`. */
  traceparent: string | undefined = undefined;
  certificate: string | undefined = undefined;
  /** Set by `authenticate`. */
  principal: Principal | undefined = undefined;
  /** Set by `admit`: what the limits said that apply to this request. */
  admission: Admission | undefined = undefined;
  /** Set by `validate`. */
  valid: ValidRequest | undefined = undefined;
  /** Set by `validate`: the fields that the caller wants of the answer; undefined for all. */
  asked: AskedFields | undefined = undefined;
  /** Set by `idempotency`. */
  idempotencyKey: IdempotencyKey | undefined = undefined;
  /** Set where an upstream is asked under {@link Exchange.idempotencyKey}: it has been recorded that it will be. */
  upstreamCall: UpstreamCall | undefined = undefined;
  /** The request's span, where an OpenTelemetry SDK is registered. */
  span: Span | undefined = undefined;
  /** Where the edge was told to measure its stages. */
  timings: StageTimings | undefined = undefined;
  /** What spans of the stage at work belong under. */
  traceContext: Context | undefined = undefined;
  /** Code of the error that answers; undefined for other answers, and for one that is replayed. */
  failureCode: string | undefined = undefined;
  /** When the first observed stage was entered, by the edge's stopwatch; negative once it is answered. */
  beganMs: number | undefined = undefined;
  /** Set by the stage that answers; those behind it are not entered. */
  answer: Outgoing | undefined = undefined;
  /** Headers of the answer so far: name, value, name, value, as Node takes them fastest. */
  readonly head: string[] = [];
  readonly lines: HeadLines;
  readonly #log: Log;
  readonly #closing: AbortSignal;
  #requestLog: Log | undefined = undefined;
  #signal: AbortSignal | undefined = undefined;
  #counted = "";
  #countedBytes = 0;

  constructor(
    route: Route | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
    log: Log,
    closing: AbortSignal,
    lines: HeadLines,
  ) {
    this.lines = lines;
    this.id = request.id;
    this.route = route;
    this.request = request;
    this.reply = reply;
    this.#log = log;
    this.#closing = closing;
  }

  get method(): string {
    return this.request.method;
  }

  /** Path and query as they were sent. */
  get url(): string {
    return this.request.url;
  }

  /** Names in lower case. */
  get headers(): IncomingHttpHeaders {
    return this.request.headers;
  }

  /**
   * Puts a header on the answer, whatever it will be; a header of the answer itself wins. Each
   * `Set-Cookie` is one more, of every other name the last one counts.
   * @throws {TypeError} for what no header can be.
   */
  setHeader(name: string, value: string): void {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    this.putHeader(name.toLowerCase(), value);
  }

  /** {@link setHeader} for a name in lower case and a value that both are known to be sound. */
  putHeader(name: string, value: string): void {
    const { head } = this;
    const index = name === "set-cookie" ? notThere : this.#indexOf(name);
    if (index === notThere) head.push(name, value);
    else head[index + 1] = value;
  }

  /** What was put under a name in lower case. */
  headerOf(name: string): string | undefined {
    const index = this.#indexOf(name);
    return index === notThere ? undefined : this.head[index + 1];
  }

  /** Bytes of `body` as it is sent; counted once for all who ask. */
  bytesOf(body: string): number {
    if (body !== this.#counted) {
      this.#counted = body;
      this.#countedBytes = Buffer.byteLength(body);
    }
    return this.#countedBytes;
  }

  get signal(): AbortSignal {
    this.#signal ??= endOf(this.reply.raw, this.#closing);
    return this.#signal;
  }

  get log(): Log {
    this.#requestLog ??= withFields(this.#log, this.#fields());
    return this.#requestLog;
  }

  /** The trace that the request belongs to: the caller's, or the one that begins with it. */
  get traceId(): string | undefined {
    return this.span?.spanContext().traceId ?? this.traceparent?.slice(3, 35);
  }

  #indexOf(name: string): number {
    const { head } = this;
    for (let index = 0; index < head.length; index += 2) {
      if (head[index] === name) return index;
    }
    return notThere;
  }

  #fields(): LogFields {
    const { id: requestId, traceId } = this;
    return traceId === undefined ? { requestId } : { requestId, traceId };
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

/** `log` whose lines all have `bound`. */
export function withFields(log: Log, bound: LogFields): Log {
  return {
    debug: (fields, message) => log.debug({ ...bound, ...fields }, message),
    info: (fields, message) => log.info({ ...bound, ...fields }, message),
    warn: (fields, message) => log.warn({ ...bound, ...fields }, message),
    error: (fields, message) => log.error({ ...bound, ...fields }, message),
  };
}

declare module "fastify" {
  interface FastifyRequest {
    /** Set before the first stage. */
    exchange: Exchange;
  }
  interface FastifyContextConfig {
    /** The stages of the declared route behind this one. */
    stages?: RouteStages;
  }
}
