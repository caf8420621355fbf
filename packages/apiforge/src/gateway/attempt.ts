import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Dispatcher } from "undici";

import type { AnswerTurn, SelfWritten } from "../edge/index.ts";
import type { BodySink } from "./body-sink.ts";
import { failureType, type ProxyErrorType, type UpstreamFailure } from "./failure.ts";
import { rawFields, readFields, type RawFields } from "./headers/raw-fields.ts";
import { responseHead } from "./headers/response-headers.ts";
import { endsHere } from "./headers/hop-by-hop.ts";
import type { Phase, PhaseWatch, Waiting } from "./phases.ts";
import { isOfClient } from "./request-body.ts";

/** Whose request an attempt is. */
export interface AttemptOwner {
  /** What a caller sees must not be kept by caches, unless the answer says otherwise. */
  readonly isPersonal: boolean;
  /** An interim answer (1xx). */
  inform(status: number, headers: readonly string[]): void;
  /** The head has come; the owner has {@link Attempt.write} called at once, or {@link Attempt.collect}, or {@link Attempt.abandon}. */
  answered(attempt: Attempt): void;
  /** The upstream has switched protocols (101); the connection is the owner's, who ends the attempt. */
  upgraded(attempt: Attempt, rawHeaders: RawFields, socket: Duplex): void;
  /** There will be no head, or no end of a body that is collected. */
  failed(attempt: Attempt, failure: UpstreamFailure): void;
  /** Nothing more comes of it. */
  ended(attempt: Attempt, how: AttemptEnd): void;
}

/** `whole`: all of an answer came. `cut`: the upstream broke off after the head. `none`: no head came, or nobody waited. */
export type AttemptEnd = "whole" | "cut" | "none";

/** Sees the body of an answer while it comes. */
export interface BodyTap {
  /** Others wait for the body, so that it comes at the pace of the upstream and not of the client. */
  readonly isAwaited: boolean;
  data(chunk: Buffer): void;
  /** Once, when nothing more comes. */
  end(how: AttemptEnd): void;
}

/** Interim answers that are passed on; more are a fault of the upstream. */
const maxInterim = 16;
/** Up to here a body leaves in one string with its head; Node writes up to 16 KiB without allocating. */
const maxJoinedBytes = 12_288;

/** Of a client that reads as fast as it can. */
const maxUnreadBytes = 131_072;

/** One try to have an upstream answer a request: undici's handler, and the answer that writes itself. */
export class Attempt implements Dispatcher.DispatchHandler, SelfWritten, Waiting {
  phase: Phase = "connect";
  sinceAt: number;
  place = 0;
  /** Of the final answer; 0 before it has come. */
  status = 0;
  /** Of the final answer, names in lower case. */
  fields: RawFields = [];
  readonly #owner: AttemptOwner;
  readonly #watch: PhaseWatch;
  #controller: Dispatcher.DispatchController | undefined;
  #tap: BodyTap | undefined;
  #response: ServerResponse | undefined;
  #sink: BodySink | undefined;
  /** The head, and what came with it, wait for the end of the turn. */
  #isFlushed = false;
  #held: Buffer | undefined;
  #isComplete = false;
  #sendsTrailer = false;
  #isOver = false;
  #interim = 0;

  constructor(owner: AttemptOwner, watch: PhaseWatch) {
    this.#owner = owner;
    this.#watch = watch;
    this.sinceAt = watch.clock.now();
    watch.add(this);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Given up while it waited for a connection.
    if (this.#isOver) return controller.abort(new Error("abandoned"));
    this.#controller = controller;
    this.#enter("head");
  }

  onBodySent(): void {
    this.sinceAt = this.#watch.clock.now();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    if (this.#isOver) return;
    if (status < 200) return this.#inform(status, rawFields(controller.rawHeaders));
    this.status = status;
    this.fields = readFields(headers);
    this.#enter("body");
    this.#owner.answered(this);
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: object,
    socket: Duplex,
  ): void {
    if (this.#isOver) return void socket.destroy();
    this.status = status;
    this.#isOver = true;
    this.#watch.delete(this);
    this.#owner.upgraded(this, rawFields(controller.rawHeaders), socket);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const response = this.#response;
    if (this.#sink !== undefined) return this.#collect(chunk, this.#sink);
    if (this.#isOver) return;
    this.#tap?.data(chunk);
    if (response === undefined) {
      this.sinceAt = this.#watch.clock.now();
      return;
    }
    if (!this.#isFlushed && this.#held === undefined) {
      this.#held = chunk;
      return;
    }
    this.flush();
    this.#pass(response, chunk, controller);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    const response = this.#response;
    if (this.#isOver) return;
    this.#end("whole");
    if (response === undefined) return this.#sink?.end();
    if (this.#sendsTrailer) {
      this.flush();
      response.addTrailers(trailerPairs(rawFields(controller.rawTrailers)));
    }
    this.#isComplete = true;
    if (this.#isFlushed) response.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#isOver) return;
    const type = failureType(error);
    // undici compares lengths first where a head names two; nothing of a body has come before a head.
    const isHead = this.status === 0 && type === "http_response_incomplete";
    this.#fail(isHead ? "http_protocol_error" : type, error);
  }

  /** @see {SelfWritten} */
  write(response: ServerResponse, own: readonly string[], isLast: boolean, turn: AnswerTurn): void {
    this.#response = response;
    const { req: request } = response;
    const { status } = this;
    const { headers, length, trailer, hasCacheControl } = responseHead(this.fields, own);
    if (this.#owner.isPersonal && !hasCacheControl) headers.push("cache-control", "no-store");
    const isChunked = length === undefined && hasBody(request.method, status);
    if (trailer !== undefined && isChunked && request.httpVersion !== "1.0") {
      this.#sendsTrailer = true;
      headers.push("trailer", trailer);
    }
    // What is left of a body that was answered before its end would be read as the next request.
    if (isLast || !request.complete) headers.push("connection", "close");
    if (length !== undefined && status !== 204) headers.push("content-length", length);
    response.writeHead(status, headers);
    // An event stream's head leaves before its first event; other answers' with what came with it.
    turn.add(() => this.flush());
  }

  /**
   * Has `tap` see the body from its first byte on, beside the client or, where {@link write} is not called,
   * alone.
   */
  tap(tap: BodyTap): void {
    this.#tap = tap;
  }

  /** The tap wants no more; it is not told of the end. */
  untap(): void {
    this.#tap = undefined;
  }

  /** The tap has become awaited. */
  hurry(): void {
    if (this.phase === "client") this.#resume();
  }

  /** Calls `then` once no more of the body than a piece waits for its client: now, or when that has it or is gone. */
  whenRead(then: () => void): void {
    const response = this.#response;
    if (response === undefined || response.writableLength <= maxUnreadBytes) then();
    else response.once("close", then);
  }

  /** Its body goes to `sink`, and somebody else writes to the client. */
  collect(sink: BodySink): void {
    this.#sink = sink;
  }

  /** Sends the head, with as much as has come with it. */
  flush(): void {
    const response = this.#response;
    if (this.#isFlushed || response === undefined || response.destroyed) return;
    this.#isFlushed = true;
    const held = this.#held;
    this.#held = undefined;
    if (this.#isComplete) endWith(response, held);
    else if (held === undefined) response.flushHeaders();
    else this.#pass(response, held, this.#controller);
  }

  /** Nobody waits for it any more. */
  abandon(): void {
    if (this.#isOver) return;
    this.#end("none");
    this.#controller?.abort(new Error("abandoned"));
  }

  expire(phase: Phase): void {
    if (this.#isOver) return;
    this.#fail(phase === "connect" ? "connection_timeout" : "http_response_timeout", undefined);
    this.#controller?.abort(new Error("timeout"));
  }

  #inform(status: number, raw: RawFields): void {
    this.#interim += 1;
    if (this.#interim > maxInterim) {
      const controller = this.#controller;
      this.#fail("http_protocol_error", undefined);
      controller?.abort(new Error("too many interim answers"));
      return;
    }
    this.sinceAt = this.#watch.clock.now();
    const headers: string[] = [];
    for (let index = 0; index < raw.length; index += 2) {
      const name = raw[index] ?? "";
      if (!endsHere(name.toLowerCase())) headers.push(name, raw[index + 1] ?? "");
    }
    this.#owner.inform(status, headers);
  }

  #fail(type: ProxyErrorType, cause: unknown): void {
    const wasSent = this.phase !== "connect";
    // A client that does not read, or sends less than it said, is not the upstream's fault.
    const isClients = (this.phase === "client" && cause === undefined) || isOfClient(cause);
    const hasAnswered = this.status !== 0 && this.#sink === undefined;
    this.#end(!hasAnswered || isClients ? "none" : "cut");
    if (!hasAnswered) this.#owner.failed(this, { type, wasSent, cause });
    else if (this.#response !== undefined) {
      this.flush();
      cutShort(this.#response);
    }
  }

  #end(how: AttemptEnd): void {
    this.#isOver = true;
    this.#watch.delete(this);
    this.#owner.ended(this, how);
    this.#tap?.end(how);
  }

  /** Sends a piece of the body, and has the upstream wait for a client that is slower. */
  #pass(
    response: ServerResponse,
    chunk: Buffer,
    controller: Dispatcher.DispatchController | undefined,
  ): void {
    const isTaken = response.write(chunk);
    if (this.phase === "client" || this.#isOver) return;
    if (isTaken || this.#tap?.isAwaited === true) {
      this.sinceAt = this.#watch.clock.now();
      return;
    }
    controller?.pause();
    this.#enter("client");
    response.once("drain", () => this.#resume());
  }

  #collect(chunk: Buffer, sink: BodySink): void {
    if (this.#isOver) return;
    this.sinceAt = this.#watch.clock.now();
    sink.take(chunk);
  }

  #enter(phase: Phase): void {
    this.phase = phase;
    this.sinceAt = this.#watch.clock.now();
  }

  #resume(): void {
    if (this.#isOver) return;
    this.#enter("body");
    this.#controller?.resume();
  }
}

/** Ends an answer. One string is one buffer for the kernel; a string and a buffer are two. */
export function endWith(response: ServerResponse, body: Buffer | undefined): void {
  if (body === undefined) response.end();
  else if (body.length > maxJoinedBytes) response.end(body);
  else response.end(body.toString("latin1"), "latin1");
}

function hasBody(method: string | undefined, status: number): boolean {
  return method !== "HEAD" && status !== 204 && status !== 304;
}

function trailerPairs(raw: RawFields): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? "";
    if (!endsHere(name.toLowerCase())) pairs.push([name, raw[index + 1] ?? ""]);
  }
  return pairs;
}

/** The client must see that it has not got all: a body whose end is the connection's has no other sign than a reset. */
function cutShort(response: ServerResponse): void {
  const { req: request } = response;
  if (request.httpVersion === "1.0") request.socket.resetAndDestroy();
  else response.destroy();
}
