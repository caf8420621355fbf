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
import {
  hasPassedHere,
  requestHeaders,
  type RequestHeaderOptions,
} from "./headers/request-headers.ts";
import { clientGone, proxyStatus } from "./identity.ts";
import { BodyCutShort, BodyTooLarge, collectBody, RequestBody } from "./request-body.ts";
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
}

/** Bodies up to here are held whole, so that another endpoint can be tried. */
const maxHeldBytes = 65_536;

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
  readonly #tried = new Set<Endpoint>();
  #body: Body = null;
  #attempts = 0;
  #isSettled = false;

  constructor(plan: ProxyPlan, exchange: Exchange, responder: Responder) {
    this.#plan = plan;
    this.#exchange = exchange;
    this.#responder = responder;
    this.isPersonal = exchange.route?.auth !== "none";
  }

  /** Reads what is needed of the body and asks the upstream. */
  begin(): void {
    const { raw } = this.#exchange.request;
    if (hasPassedHere(raw)) return this.#refuse(notSent("proxy_loop_detected"));
    this.#exchange.reply.raw.once("close", this.#clientClosed);
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
      return this.#retry();
    }
    this.#isSettled = true;
    this.#answer(status, attempt);
  }

  upgraded(attempt: Attempt, rawHeaders: readonly (Buffer | string)[], upstream: Duplex): void {
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
    if (failure.cause instanceof BodyTooLarge) return this.#refuseBody();
    if (failure.cause instanceof BodyCutShort) return this.#clientClosed();
    const isSlow = failure.type === "http_response_timeout";
    if (isSlow && this.#body instanceof RequestBody && this.#body.isStarved) {
      return this.#refuseSlowBody();
    }
    this.#lastEndpoint?.breaker.fail();
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
    endpoint.breaker.end();
    this.#lastEndpoint = endpoint;
    this.#endpoint = undefined;
    this.#plan.upstream.leave();
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
    this.#plan.upstream.budget.deposit();
    this.#ask();
  }

  #ask(): void {
    if (this.#isSettled) return;
    const { upstream } = this.#plan;
    const endpoint = upstream.pick(this.#exchange, this.#tried);
    if (endpoint === undefined) return this.#refuse(notSent("destination_unavailable"));
    if (!upstream.enter()) return this.#refuse(notSent("connection_limit_reached"));
    endpoint.pending += 1;
    endpoint.breaker.begin();
    this.#endpoint = endpoint;
    this.#attempts += 1;
    this.#attempt = new Attempt(this, upstream.watch);
    endpoint.dispatch(this.#dispatchOptions(endpoint), this.#attempt);
  }

  #dispatchOptions(endpoint: Endpoint): Dispatcher.DispatchOptions {
    const { method, headers: given } = this.#exchange;
    const body = this.#body;
    const headers = requestHeaders(this.#exchange, this.#plan);
    const length = given["content-length"];
    if (body instanceof RequestBody && length !== undefined) headers.push("content-length", length);
    const path = endpoint.basePath + this.#path();
    const isUpgrade = this.#plan.takesWebSockets && asksForWebSocket(this.#exchange.request.raw);
    const upgrade = isUpgrade ? "websocket" : null;
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
    const { method, headers } = this.#exchange;
    if (repeatable.has(method)) return true;
    return this.#plan.upstream.retry.keyed && headers["idempotency-key"] !== undefined;
  }

  #retry(): void {
    if (this.#lastEndpoint !== undefined) this.#tried.add(this.#lastEndpoint);
    const { retry, watch } = this.#plan.upstream;
    if (retry.delayMs === 0) this.#ask();
    else watch.clock.after(retry.delayMs, () => this.#ask());
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
    this.#exchange.setHeader("proxy-status", proxyStatus(failure.type));
    this.#responder.refuse(this.#exchange, failureError(failure, this.#isRepeatable()));
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
    this.#attempt?.abandon();
    this.#tunnel?.abandon();
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#responder.answer(this.#exchange, plainAnswer(clientGone));
  };
}

/** A status that says that nothing behind the endpoint could be asked. */
function isFault(status: number): boolean {
  return status >= 502 && status <= 504;
}

function checkedBody({ valid }: Exchange): Buffer {
  const body = valid?.body;
  return Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body) ?? "");
}
