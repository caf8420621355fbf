import { edgeError, plainAnswer, type Exchange, type Responder } from "../edge/index.ts";
import { Attempt, type AttemptOwner } from "./attempt.ts";
import type { Endpoint } from "./endpoint.ts";
import { failureError, type UpstreamFailure } from "./failure.ts";
import {
  hasPassedHere,
  requestHeaders,
  type RequestHeaderOptions,
} from "./headers/request-headers.ts";
import { pseudonym } from "./identity.ts";
import { BodyCutShort, BodyTooLarge, collectBody, RequestBody } from "./request-body.ts";
import type { Upstream } from "./upstream.ts";

/** What all requests of a proxied route have in common. */
export interface ProxyPlan extends RequestHeaderOptions {
  readonly upstream: Upstream;
  /** Taken away from the front of a request's path. */
  readonly stripPrefix: string;
  readonly maxBodyBytes: number;
  /** The body has been read and checked, and is written anew: nothing passes that was not checked. */
  readonly hasCheckedBody: boolean;
}

/** Bodies up to here are held whole, so that another endpoint can be tried. */
const maxHeldBytes = 65_536;
/** nginx' own, known to whoever reads logs: the client went before its answer. */
const clientGone = 499;

const repeatable: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT", "DELETE"]);

type Body = Buffer | RequestBody | null;

/** One request on its way to an upstream and back. */
export class ProxyCall implements AttemptOwner {
  readonly isPersonal: boolean;
  readonly #plan: ProxyPlan;
  readonly #exchange: Exchange;
  readonly #responder: Responder;
  #attempt: Attempt | undefined;
  #endpoint: Endpoint | undefined;
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
    if (hasPassedHere(raw))
      return this.#refuse({ type: "proxy_loop_detected", wasSent: false, cause: undefined });
    this.#exchange.reply.raw.once("close", this.#clientClosed);
    const length = this.#lengthOfBody();
    if (length !== undefined && length > this.#plan.maxBodyBytes) return this.#refuseBody();
    if (length === 0) return this.#send(null);
    if (this.#plan.hasCheckedBody) return this.#send(checkedBody(this.#exchange));
    if (length === undefined || length > maxHeldBytes) {
      return this.#send(new RequestBody(raw, this.#plan.maxBodyBytes));
    }
    collectBody(raw, (body) => this.#send(body));
  }

  inform(status: number, headers: readonly string[]): void {
    const { raw } = this.#exchange.reply;
    if (this.#exchange.request.raw.httpVersion !== "1.1" || raw.destroyed) return;
    raw.writeInformation(status, [...headers]);
  }

  answered(attempt: Attempt): void {
    this.#isSettled = true;
    const { answer } = plainAnswer(attempt.status);
    this.#responder.answer(this.#exchange, {
      answer,
      seq: undefined,
      isReplay: false,
      selfWritten: attempt,
    });
  }

  failed(_attempt: Attempt, failure: UpstreamFailure): void {
    if (failure.cause instanceof BodyTooLarge) return this.#refuseBody();
    if (failure.cause instanceof BodyCutShort) return this.#clientClosed();
    this.#refuse(failure);
  }

  ended(): void {
    if (this.#endpoint === undefined) return;
    this.#endpoint.pending -= 1;
    this.#endpoint = undefined;
    this.#plan.upstream.leave();
  }

  #send(body: Body): void {
    if (this.#isSettled) return;
    const { upstream } = this.#plan;
    if (!upstream.enter()) {
      return this.#refuse({ type: "connection_limit_reached", wasSent: false, cause: undefined });
    }
    const endpoint = upstream.pick();
    endpoint.pending += 1;
    this.#endpoint = endpoint;
    this.#attempt = new Attempt(this, upstream.watch);
    const { method, headers: given } = this.#exchange;
    const headers = requestHeaders(this.#exchange, this.#plan);
    const length = given["content-length"];
    if (body instanceof RequestBody && length !== undefined) headers.push("content-length", length);
    const path = endpoint.basePath + this.#path();
    endpoint.dispatch({ path, method, headers, body, idempotent: false }, this.#attempt);
  }

  #path(): string {
    const { url } = this.#exchange;
    const { stripPrefix } = this.#plan;
    if (!url.startsWith(stripPrefix)) return url;
    const rest = url.slice(stripPrefix.length);
    return rest.startsWith("/") ? rest : `/${rest}`;
  }

  /** 0 without a body, undefined for one of unknown length. */
  #lengthOfBody(): number | undefined {
    const { headers } = this.#exchange;
    if (headers["transfer-encoding"] !== undefined) return undefined;
    return Number(headers["content-length"] ?? 0);
  }

  #refuse(failure: UpstreamFailure): void {
    this.#isSettled = true;
    this.#exchange.setHeader("proxy-status", `${pseudonym}; error=${failure.type}`);
    const isRepeatable = repeatable.has(this.#exchange.method);
    this.#responder.refuse(this.#exchange, failureError(failure, isRepeatable));
  }

  #refuseBody(): void {
    this.#isSettled = true;
    this.#exchange.setHeader("connection", "close");
    this.#responder.refuse(
      this.#exchange,
      edgeError("body_too_large", "The body is larger than this route accepts"),
    );
  }

  readonly #clientClosed = (): void => {
    this.#attempt?.abandon();
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#responder.answer(this.#exchange, plainAnswer(clientGone));
  };
}

function checkedBody({ valid }: Exchange): Buffer {
  const body = valid?.body;
  return Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body) ?? "");
}
