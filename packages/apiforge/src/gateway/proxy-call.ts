import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Dispatcher } from "undici";

import {
  asksForWebSocket,
  edgeError,
  http2RequestOf,
  lengthOfBody,
  plainAnswer,
  type Exchange,
  type Responder,
  type SelfWritten,
} from "../edge/index.ts";
import { limitArrival } from "./arrival.ts";
import { Attempt, type AttemptEnd, type AttemptOwner } from "./attempt.ts";
import type { Endpoint } from "./endpoint.ts";
import { failureError, notSent, type UpstreamFailure } from "./failure.ts";
import type { RawFields } from "./headers/raw-fields.ts";
import {
  hasPassedHere,
  requestHeaders,
  type RequestHeaderOptions,
} from "./headers/request-headers.ts";
import { afterwards, answerKeyed, withUpstreamKey } from "./idempotency.ts";
import { clientGone, proxyStatus, pseudonym } from "./identity.ts";
import { BodyCutShort, BodyTooLarge, collectBody, RequestBody } from "./request-body.ts";
import type { Shaping } from "./shaping.ts";
import { shapeAnswer, shapeRequest, type ShapedEnds, type ShapedRequest } from "./shaping-call.ts";
import type { Shadow } from "./shadow.ts";
import { isToWebSocket, Tunnel } from "./tunnel.ts";
import type { Upstream } from "./upstream.ts";

/** What all requests of a proxied route have in common. */
export interface ProxyPlan extends RequestHeaderOptions {
  readonly upstream: Upstream;
  /** Taken away from the front of a request's path. */
  readonly stripPrefix: string;
  readonly maxBodyBytes: number;
  /** The body has been read and checked, and is written anew: nothing passes that was not checked. */
  readonly hasCheckedBody: boolean;
  readonly takesWebSockets: boolean;
  /** Undefined: requests and answers pass as they are. */
  readonly shaping: Shaping | undefined;
  /** A request whose outcome is not known may be sent again under its key, whoever repeats it. */
  readonly areKeysKnown: boolean;
  /** Gets copies of requests whose bodies are held; undefined for none. */
  readonly shadow: Shadow | undefined;
}

/** What is sent differently from what the client sent. */
export interface CallChanges {
  /** Fields of the client that are not sent, in lower case. */
  readonly without: ReadonlySet<string>;
  /** Sent besides, flat, names in lower case. */
  readonly fields: readonly string[];
  /** Nobody waits for the answer: the client has got another one, and may go. */
  readonly isDetached: boolean;
}

/** Bodies up to here are held whole, so that another endpoint can be tried. */
const maxHeldBytes = 65_536;

const noneTried: ReadonlySet<Endpoint> = new Set();
const repeatable: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT", "DELETE"]);

type Body = Buffer | RequestBody | null;

/** One request on its way to an upstream and back. */
export class ProxyCall implements AttemptOwner {
  readonly isPersonal: boolean;
  readonly #plan: ProxyPlan;
  readonly #exchange: Exchange;
  readonly #responder: Responder;
  #attempt: Attempt | undefined;
  #tunnel: Tunnel | undefined;
  #endpoint: Endpoint | undefined;
  #lastEndpoint: Endpoint | undefined;
  #tried: ReadonlySet<Endpoint> = noneTried;
  #body: Body = null;
  #shaped: ShapedRequest | undefined;
  #attempts = 0;
  #isSettled = false;
  /** Something of the request may have reached an endpoint. */
  #wasSent = false;
  readonly #changes: CallChanges | undefined;

  constructor(plan: ProxyPlan, exchange: Exchange, responder: Responder, changes?: CallChanges) {
    this.#changes = changes;
    this.#plan = plan;
    this.#exchange = exchange;
    this.#responder = responder;
    this.isPersonal = exchange.route?.auth !== "none";
  }

  /** Reads what is needed of the body and asks the upstream. */
  begin(): void {
    const { raw } = this.#exchange.request;
    if (hasPassedHere(raw)) return this.#refuse(notSent("proxy_loop_detected"));
    if (this.#changes?.isDetached !== true) {
      this.#exchange.reply.raw.on("close", this.#clientClosed);
    }
    const length = lengthOfBody(raw);
    if (length !== undefined && length > this.#plan.maxBodyBytes) return this.#refuseBody();
    if (length === 0) return this.#send(null);
    if (this.#plan.hasCheckedBody) return this.#send(checkedBody(this.#exchange));
    if (http2RequestOf(raw) !== undefined) {
      limitArrival(raw, this.#plan.upstream.watch, () => this.#refuseSlowBody());
    }
    if (length === undefined || length > maxHeldBytes) {
      return this.#send(new RequestBody(raw, this.#plan.maxBodyBytes));
    }
    collectBody(raw, (body) => this.#send(body));
  }

  inform(status: number, headers: readonly string[]): void {
    const { raw } = this.#exchange.reply;
    // What a route has shaped is the answer; nothing would have looked at this.
    if (this.#changes?.isDetached === true || this.#plan.shaping !== undefined) return;
    if (this.#exchange.request.raw.httpVersion === "1.0" || raw.destroyed) return;
    raw.writeInformation(status, [...headers]);
  }

  answered(attempt: Attempt): void {
    const { status } = attempt;
    const breaker = this.#endpoint?.breaker;
    if (isFault(status)) breaker?.fail();
    else breaker?.answer();
    if (this.#plan.upstream.retry.statuses.includes(status) && this.#mayRetry(true)) {
      attempt.abandon();
      this.#wasSent = true;
      return this.#retry();
    }
    const { shaping } = this.#plan;
    const { upstreamCall: call } = this.#exchange;
    if (shaping === undefined && call === undefined) return this.#settle(attempt, attempt);
    const ends: ShapedEnds = {
      isPersonal: this.isPersonal,
      answer: (selfWritten) => this.#settle(attempt, selfWritten),
      refuse: (error) => this.#refuseAnswer(attempt, error),
    };
    const exchange = this.#exchange;
    const isRepeatable = this.#isForRepeating();
    if (call !== undefined) {
      const isRepeated = this.#wasSent;
      answerKeyed({ call, shaping, attempt, exchange, isRepeatable, isRepeated }, ends);
    } else if (shaping !== undefined) {
      shapeAnswer(shaping, attempt, exchange, isRepeatable, ends);
    }
  }

  upgraded(attempt: Attempt, rawHeaders: RawFields, upstream: Duplex): void {
    if (!(upstream instanceof Socket) || !isToWebSocket(rawHeaders)) {
      upstream.destroy();
      this.ended(attempt, "none");
      return this.failed(attempt, {
        type: "http_upgrade_failed",
        wasSent: true,
        cause: undefined,
      });
    }
    this.#endpoint?.breaker.answer();
    this.#isSettled = true;
    const { watch } = this.#plan.upstream;
    const { signal } = this.#exchange;
    const ended = (): void => this.ended(attempt, "whole");
    this.#tunnel = new Tunnel({ rawHeaders, upstream, watch, signal, ended });
    this.#answer(101, this.#tunnel);
  }

  failed(_attempt: Attempt, failure: UpstreamFailure): void {
    // Of an answer that another one took the place of, which a slow client may not have yet.
    if (this.#isSettled) return;
    if (failure.cause instanceof BodyTooLarge) return this.#refuseBody();
    if (failure.cause instanceof BodyCutShort) return this.#clientClosed();
    const isSlow = failure.type === "http_response_timeout";
    if (isSlow && this.#body instanceof RequestBody && this.#body.isStarved) {
      return this.#refuseSlowBody();
    }
    this.#lastEndpoint?.breaker.fail();
    this.#wasSent ||= failure.wasSent;
    // An upstream that is slow, or speaks no HTTP, is no better the second time.
    const isOfConnection = !failure.type.startsWith("http_");
    if (isOfConnection && this.#mayRetry(failure.wasSent)) this.#retry();
    else this.#refuse(failure);
  }

  ended({ status }: Attempt, how: AttemptEnd): void {
    const endpoint = this.#endpoint;
    if (endpoint === undefined) return;
    endpoint.pending -= 1;
    if (how === "cut") endpoint.breaker.fail();
    else if (how === "whole" && !isFault(status)) endpoint.breaker.succeed();
    endpoint.breaker.end(this);
    this.#lastEndpoint = endpoint;
    this.#endpoint = undefined;
    this.#plan.upstream.leave();
  }

  #settle({ status }: Attempt, selfWritten: SelfWritten): void {
    this.#isSettled = true;
    this.#answer(status, selfWritten);
  }

  #answer(status: number, selfWritten: SelfWritten): void {
    const { answer } = plainAnswer(status);
    this.#responder.answer(this.#exchange, {
      answer,
      seq: undefined,
      isReplay: false,
      selfWritten,
    });
  }

  /** Takes the body, and asks for the first time. */
  #send(body: Body): void {
    if (this.#isSettled) return;
    this.#body = body;
    if (this.#plan.shaping !== undefined && !this.#shape(this.#plan.shaping)) return;
    this.#plan.upstream.budget.deposit();
    this.#ask();
    if (this.#plan.shadow !== undefined) this.#copy(this.#plan.shadow);
  }

  /** False when the request has been refused. */
  #shape(shaping: Shaping): boolean {
    try {
      const headers = requestHeaders(this.#exchange, this.#plan);
      this.#shaped = shapeRequest(shaping, this.#exchange, { path: this.#path(), headers });
      this.#body = this.#shaped.body ?? this.#body;
      return true;
    } catch (error) {
      this.#isSettled = true;
      const { upstreamCall: call } = this.#exchange;
      const tell = (): void => this.#responder.refuse(this.#exchange, error);
      if (call === undefined) tell();
      else afterwards(this.#exchange, call.release(), tell);
      return false;
    }
  }

  #ask(): void {
    if (this.#isSettled) return;
    const { upstream } = this.#plan;
    const endpoint = upstream.pick(this.#exchange, this.#tried);
    if (endpoint === undefined) return this.#refuse(notSent("destination_unavailable"));
    if (!upstream.enter()) return this.#refuse(notSent("connection_limit_reached"));
    endpoint.pending += 1;
    endpoint.breaker.begin(this);
    this.#endpoint = endpoint;
    this.#attempts += 1;
    this.#attempt = new Attempt(this, upstream.watch);
    endpoint.dispatch(this.#dispatchOptions(endpoint), this.#attempt);
  }

  #copy(shadow: Shadow): void {
    const body = this.#body;
    if (body instanceof RequestBody || this.#isUpgrade()) return;
    const path = this.#shaped?.path ?? this.#path();
    shadow.send(this.#exchange, { method: this.#method(), path, headers: this.#headers(), body });
  }

  #isUpgrade(): boolean {
    return this.#plan.takesWebSockets && asksForWebSocket(this.#exchange.request.raw);
  }

  /** Those of the request as it is sent. */
  #headers(): string[] {
    const { upstreamCall: call } = this.#exchange;
    const shaped = this.#shaped;
    const own = shaped ? [...shaped.headers] : requestHeaders(this.#exchange, this.#plan);
    return call === undefined ? own : withUpstreamKey(own, call);
  }

  #dispatchOptions(endpoint: Endpoint): Dispatcher.DispatchOptions {
    const { headers: given } = this.#exchange;
    const body = this.#body;
    const headers = changed(this.#headers(), this.#changes);
    const length = given["content-length"];
    if (body instanceof RequestBody && length !== undefined) headers.push("content-length", length);
    const path = endpoint.basePath + (this.#shaped?.path ?? this.#path());
    const upgrade = this.#isUpgrade() ? "websocket" : null;
    const method = this.#method();
    return { path, method, headers, body, idempotent: false, upgrade };
  }

  /** Whether it can be sent once more; takes that from the budget. */
  #mayRetry(wasSent: boolean): boolean {
    const { retry, budget } = this.#plan.upstream;
    if (this.#isSettled || this.#body instanceof RequestBody) return false;
    if (this.#attempts >= retry.attempts || (wasSent && !this.#isRepeatable())) return false;
    return budget.withdraw();
  }

  #isRepeatable(): boolean {
    const { method, headers, upstreamCall } = this.#exchange;
    if (upstreamCall !== undefined) return this.#plan.upstream.retry.keyed;
    if (repeatable.has(method)) return true;
    return this.#plan.upstream.retry.keyed && headers["idempotency-key"] !== undefined;
  }

  /** Whether the caller may repeat it. */
  #isForRepeating(): boolean {
    if (this.#exchange.upstreamCall !== undefined) return this.#plan.areKeysKnown;
    return this.#isRepeatable();
  }

  #retry(): void {
    if (this.#lastEndpoint !== undefined) {
      this.#tried = new Set([...this.#tried, this.#lastEndpoint]);
    }
    const { retry, watch } = this.#plan.upstream;
    if (retry.delayMs === 0) this.#ask();
    else watch.clock.after(retry.delayMs, () => this.#ask());
  }

  /** A HEAD tells the length of what its GET would say, which is not known before that is shaped. */
  #method(): string {
    const { method } = this.#exchange;
    return method === "HEAD" && this.#plan.shaping?.looksInside === true ? "GET" : method;
  }

  #path(): string {
    const { url } = this.#exchange;
    const { stripPrefix } = this.#plan;
    if (!url.startsWith(stripPrefix)) return url;
    const rest = url.slice(stripPrefix.length);
    return rest.startsWith("/") ? rest : `/${rest}`;
  }

  #refuse(failure: UpstreamFailure): void {
    this.#isSettled = true;
    const { upstreamCall: call } = this.#exchange;
    const wasSent = failure.wasSent || (call !== undefined && this.#wasSent);
    const tell = (): void => {
      this.#exchange.setHeader("proxy-status", proxyStatus(failure.type));
      const error = failureError({ ...failure, wasSent }, this.#isForRepeating());
      this.#responder.refuse(this.#exchange, error);
    };
    if (call === undefined) tell();
    else afterwards(this.#exchange, wasSent ? call.giveUp() : call.release(), tell);
  }

  #refuseAnswer({ status }: Attempt, error: unknown): void {
    this.#isSettled = true;
    this.#exchange.setHeader("proxy-status", `${pseudonym}; received-status=${status}`);
    this.#responder.refuse(this.#exchange, error);
  }

  #refuseBody(): void {
    this.#isSettled = true;
    this.#exchange.setHeader("connection", "close");
    this.#responder.refuse(
      this.#exchange,
      edgeError("body_too_large", "The body is larger than this route accepts"),
    );
  }

  #refuseSlowBody(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#attempt?.abandon();
    this.#exchange.setHeader("connection", "close");
    this.#responder.refuse(
      this.#exchange,
      edgeError("request_timeout", "The request did not arrive in time"),
    );
  }

  readonly #clientClosed = (): void => {
    // What is recorded as begun is brought to its end: whoever repeats it finds the answer.
    if (this.#exchange.upstreamCall !== undefined) return;
    this.#attempt?.abandon();
    this.#tunnel?.abandon();
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#responder.answer(this.#exchange, plainAnswer(clientGone));
  };
}

function changed(headers: string[], changes: CallChanges | undefined): string[] {
  if (changes === undefined) return headers;
  const sent: string[] = [...changes.fields];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? "";
    if (!changes.without.has(name)) sent.push(name, headers[index + 1] ?? "");
  }
  return sent;
}

/** A status that says that nothing behind the endpoint could be asked. */
function isFault(status: number): boolean {
  return status >= 502 && status <= 504;
}

function checkedBody({ valid }: Exchange): Buffer {
  const body = valid?.body;
  return Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body) ?? "");
}
