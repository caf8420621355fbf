import type { IncomingMessage } from "node:http";
import { constants, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";

import {
  edgeError,
  grpcFormOf,
  grpcStatus,
  http2RequestOf,
  isConnect,
  plainAnswer,
  type Exchange,
  type GrpcForm,
  type Responder,
} from "../../edge/index.ts";
import type { Timer } from "../../kernel/index.ts";
import { limitArrival } from "../arrival.ts";
import type { Endpoint } from "../endpoint.ts";
import { failureError, failureType, notSent, type UpstreamFailure } from "../failure.ts";
import {
  hasPassedHere,
  requestHeaders,
  type RequestHeaderOptions,
} from "../headers/request-headers.ts";
import { clientGone, proxyStatus } from "../identity.ts";
import type { Upstream } from "../upstream.ts";
import { GrpcAnswer } from "./answer.ts";
import { grpcFields, refusedCoding } from "./connect-fields.ts";
import { connectTimeoutMsOf, timeoutMsOf, timeoutText } from "./deadline.ts";
import { MessageSizes } from "./messages.ts";
import { UnaryAnswer } from "./unary-answer.ts";
import { takeMessage } from "./unary-body.ts";
import { WebText } from "./web-text.ts";

/** What all calls of a service have in common. */
export interface GrpcPlan extends RequestHeaderOptions {
  readonly upstream: Upstream;
  readonly maxMessageBytes: number;
  readonly maxDeadlineMs: number | undefined;
}

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } =
  constants;
/** Of an answer that says that nothing behind the endpoint was asked. */
const unavailable: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const tooLate = "The call has not ended within its deadline";
const tooLarge = "A message is larger than this service accepts";
const half = "The last message is cut short";
const otherType = "This service is called by gRPC over HTTP/2, by gRPC-Web or by Connect";
const otherCoding =
  "Send a single message as it is or with gzip, and compress messages of a stream one by one";

/** One call of gRPC on its way to an upstream and back. */
export class GrpcCall {
  readonly #plan: GrpcPlan;
  readonly #exchange: Exchange;
  readonly #responder: Responder;
  readonly #raw: IncomingMessage;
  readonly #tried = new Set<Endpoint>();
  #attempts = 0;
  #form: GrpcForm = "grpc";
  #endsAt: number | undefined;
  #timer: Timer | undefined;
  #endpoint: Endpoint | undefined;
  #stream: ClientHttp2Stream | undefined;
  #answer: GrpcAnswer | undefined;
  /** What is sent, and answered, where it is one message each way. */
  #message: Buffer | undefined;
  #unary: UnaryAnswer | undefined;
  #isSettled = false;
  /** Given up here, so its end says nothing about the upstream. */
  #isAbandoned = false;

  constructor(plan: GrpcPlan, exchange: Exchange, responder: Responder) {
    this.#plan = plan;
    this.#exchange = exchange;
    this.#responder = responder;
    this.#raw = exchange.request.raw;
  }

  /** Asks the upstream. */
  begin(): void {
    const form = grpcFormOf(this.#exchange);
    if (form === undefined) return this.#refuseType(otherType);
    this.#form = form;
    if (isConnect(form) && refusedCoding(this.#raw.headers, form) !== undefined) {
      return this.#refuseType(otherCoding);
    }
    if (hasPassedHere(this.#raw)) return this.#fail(notSent("proxy_loop_detected"));
    const timeoutMs = this.#timeoutMs();
    if (Number.isNaN(timeoutMs)) {
      return this.#refuse(edgeError("malformed_request", "The time limit cannot be read"));
    }
    const { clock } = this.#plan.upstream.watch;
    if (timeoutMs !== undefined) {
      this.#endsAt = clock.now() + timeoutMs;
      this.#timer = clock.after(timeoutMs, this.#expire);
    }
    this.#exchange.reply.raw.once("close", this.#clientClosed);
    this.#plan.upstream.budget.deposit();
    if (form === "connect") this.#takeMessage();
    else void this.#ask();
  }

  /** No upstream waits for a body that has to be held to its end. */
  #takeMessage(): void {
    const { maxMessageBytes, upstream } = this.#plan;
    if (http2RequestOf(this.#raw) !== undefined) {
      limitArrival(this.#raw, upstream.watch, this.#refuseSlowBody);
    }
    takeMessage(this.#raw, maxMessageBytes, {
      done: (message) => {
        this.#message = message;
        if (!this.#isSettled) void this.#ask();
      },
      tooLarge: () => this.#refuseMessage(),
    });
  }

  /** Undefined without a deadline, NaN for one that cannot be read. */
  #timeoutMs(): number | undefined {
    const { maxDeadlineMs } = this.#plan;
    const { headers } = this.#raw;
    const byConnect = isConnect(this.#form);
    const given = headers[byConnect ? "connect-timeout-ms" : "grpc-timeout"];
    if (given === undefined) return maxDeadlineMs;
    const read = byConnect ? connectTimeoutMsOf : timeoutMsOf;
    const timeoutMs = read(String(given)) ?? Number.NaN;
    return Math.min(timeoutMs, maxDeadlineMs ?? timeoutMs);
  }

  async #ask(): Promise<void> {
    const { upstream } = this.#plan;
    const endpoint = upstream.pick(this.#exchange, this.#tried);
    if (endpoint === undefined) return this.#fail(notSent("destination_unavailable"));
    if (!upstream.enter()) return this.#fail(notSent("connection_limit_reached"));
    endpoint.pending += 1;
    endpoint.breaker.begin(this);
    this.#endpoint = endpoint;
    this.#attempts += 1;
    try {
      const session = await endpoint.channel.session();
      if (this.#isSettled) return this.#release();
      this.#start(endpoint, session);
    } catch (cause) {
      endpoint.breaker.fail();
      this.#release();
      this.#tried.add(endpoint);
      if (this.#isSettled) return;
      const mayRetry = this.#attempts < upstream.retry.attempts && upstream.budget.withdraw();
      if (mayRetry) return this.#ask();
      this.#fail({ type: failureType(cause), wasSent: false, cause });
    }
  }

  #start(endpoint: Endpoint, session: ClientHttp2Session): void {
    const stream = session.request(this.#head(endpoint), { endStream: false });
    this.#stream = stream;
    endpoint.channel.begin(session);
    let cause: unknown;
    stream.on("error", (error) => (cause = error));
    stream.once("response", (headers, flags, rawHeaders: readonly string[]) => {
      const isEnd = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
      this.#answered(stream, headers[":status"] ?? 0, rawHeaders, isEnd);
    });
    stream.once("close", () => {
      endpoint.channel.end(session);
      this.#over(stream, cause);
    });
    this.#sendBody(stream);
  }

  #head(endpoint: Endpoint): string[] {
    const { url } = this.#exchange;
    const { protocol, host } = new URL(endpoint.url);
    const head = [":method", "POST", ":scheme", protocol.slice(0, -1), ":authority", host];
    head.push(":path", endpoint.basePath + url);
    const given = requestHeaders(this.#exchange, this.#plan);
    const form = this.#form;
    const passed = isConnect(form) ? grpcFields(given, this.#raw.headers, form) : given;
    for (let index = 0; index < passed.length; index += 2) {
      const name = passed[index] ?? "";
      if (ours.has(name)) continue;
      const value = passed[index + 1] ?? "";
      head.push(name, name === "content-type" ? ofHttp2(value) : value);
    }
    if (this.#endsAt !== undefined) {
      const leftMs = this.#endsAt - this.#plan.upstream.watch.clock.now();
      head.push("grpc-timeout", timeoutText(leftMs));
    }
    head.push("te", "trailers");
    return head;
  }

  #sendBody(stream: ClientHttp2Stream): void {
    const raw = this.#raw;
    if (this.#message !== undefined) return void stream.end(this.#message);
    const sizes = new MessageSizes(this.#plan.maxMessageBytes);
    const text = this.#form === "grpc-web-text" ? new WebText() : undefined;
    raw.on("data", (chunk: Buffer) => {
      if (stream.closed || stream.writableEnded) return;
      const piece = text?.decode(chunk) ?? chunk;
      if (!sizes.allow(piece)) return this.#refuseMessage();
      if (!stream.write(piece)) raw.pause();
    });
    stream.on("drain", () => raw.resume());
    raw.once("end", () => {
      if (this.#isAbandoned || stream.closed) return;
      if (sizes.isBetween) stream.end();
      // Some servers take what came before it for the whole.
      else this.#giveUp(grpcStatus.invalidArgument, half, edgeError("malformed_request", half));
    });
  }

  #answered(
    stream: ClientHttp2Stream,
    status: number,
    rawHeaders: readonly string[],
    isEnd: boolean,
  ): void {
    if (this.#isSettled) return;
    if (status !== 200) {
      const type = unavailable.has(status) ? "destination_unavailable" : "http_protocol_error";
      this.#abandon();
      this.#endpoint?.breaker.fail();
      return this.#fail({ type, wasSent: true, cause: undefined });
    }
    this.#endpoint?.breaker.answer();
    if (this.#form === "connect") {
      const { maxMessageBytes: maxBytes } = this.#plan;
      const request = this.#raw;
      const parts = { request, stream, rawHeaders, isTrailersOnly: isEnd, maxBytes };
      this.#unary = new UnaryAnswer(parts);
      return;
    }
    this.#isSettled = true;
    const { watch } = this.#plan.upstream;
    const parts = { form: this.#form, stream, rawHeaders, isTrailersOnly: isEnd, watch };
    this.#answer = new GrpcAnswer(parts);
    this.#responder.answer(this.#exchange, { ...plainAnswer(200), selfWritten: this.#answer });
  }

  /** The stream to the upstream is closed, one way or the other. */
  #over(stream: ClientHttp2Stream, cause: unknown): void {
    this.#timer?.cancel();
    const breaker = this.#endpoint?.breaker;
    const answer = this.#unary ?? this.#answer;
    if (answer?.isWhole === true && !this.#isAbandoned) breaker?.succeed();
    else if (!this.#isAbandoned) breaker?.fail();
    this.#release();
    if (this.#isSettled) return;
    if (this.#unary !== undefined) {
      this.#isSettled = true;
      return this.#responder.answer(this.#exchange, this.#unary.outgoing());
    }
    const { rstCode } = stream;
    const type = rstCode === NGHTTP2_NO_ERROR ? "http_response_incomplete" : failureType(cause);
    // Its server has not looked at it (RFC 9113 section 8.7).
    const wasSent = rstCode !== NGHTTP2_REFUSED_STREAM;
    this.#fail({ type, wasSent, cause });
  }

  #release(): void {
    const endpoint = this.#endpoint;
    if (endpoint === undefined) return;
    this.#endpoint = undefined;
    endpoint.pending -= 1;
    endpoint.breaker.end(this);
    this.#plan.upstream.leave();
  }

  #fail(failure: UpstreamFailure): void {
    this.#exchange.setHeader("proxy-status", proxyStatus(failure.type));
    this.#refuse(failureError(failure, false));
  }

  #refuse(error: Error): void {
    this.#isSettled = true;
    this.#timer?.cancel();
    this.#responder.refuse(this.#exchange, error);
  }

  #refuseType(message: string): void {
    this.#refuse(edgeError("unsupported_media_type", message));
  }

  #refuseMessage(): void {
    this.#giveUp(grpcStatus.resourceExhausted, tooLarge, edgeError("body_too_large", tooLarge));
  }

  readonly #expire = (): void => {
    const error = edgeError("request_timeout", tooLate);
    this.#giveUp(grpcStatus.deadlineExceeded, tooLate, error);
  };

  readonly #refuseSlowBody = (): void => {
    const error = edgeError("request_timeout", "The request did not arrive in time");
    if (!this.#isSettled) this.#refuse(error);
  };

  #giveUp(status: number, message: string, error: Error): void {
    this.#isAbandoned = true;
    if (!this.#isSettled) this.#refuse(error);
    else if (this.#answer !== undefined) return this.#answer.fail(status, message);
    this.#abandon();
  }

  #abandon(): void {
    this.#isAbandoned = true;
    this.#stream?.close(NGHTTP2_CANCEL);
  }

  readonly #clientClosed = (): void => {
    this.#timer?.cancel();
    if (this.#stream?.closed === false) this.#abandon();
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#responder.answer(this.#exchange, plainAnswer(clientGone));
  };
}

// Written anew, or of browsers alone.
const ours: ReadonlySet<string> = new Set(["grpc-timeout", "te", "x-grpc-web"]);

function ofHttp2(contentType: string): string {
  return contentType.replace(/^application\/grpc-web(?:-text)?/i, "application/grpc");
}
