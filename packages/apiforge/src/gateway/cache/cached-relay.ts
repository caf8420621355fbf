import {
  asksForWebSocket,
  type Exchange,
  type Outgoing,
  type Relay,
  type Responder,
} from "../../edge/index.ts";
import { Attempt } from "../attempt.ts";
import { origin } from "./asked.ts";
import { forwardedStatus, type Forwarded } from "./cache-status.ts";
import type { CachePlan } from "./cache-plan.ts";
import { CachedCall } from "./cached-call.ts";
import { withoutTags } from "./entry.ts";
import { fieldsOf } from "./fields.ts";

/** Begins requests whose answers are kept and given again. */
export function beginCached(plan: CachePlan): Relay["begin"] {
  return function beginKept(exchange, responder) {
    const { method } = exchange;
    const isRead = method === "GET" || method === "HEAD";
    if (!isRead) new PassedCall(plan, "method", responder).begin(exchange);
    else if (isForUpstream(exchange)) new PassedCall(plan, "bypass", responder).begin(exchange);
    else new CachedCall(plan, exchange, responder).begin();
  };
}

/** A request that a stored answer is none for. */
function isForUpstream({ request, headers }: Exchange): boolean {
  if (headers["if-match"] !== undefined || headers["if-unmodified-since"] !== undefined)
    return true;
  if (headers["transfer-encoding"] !== undefined) return true;
  if (headers["content-length"] !== undefined && headers["content-length"] !== "0") return true;
  return asksForWebSocket(request.raw);
}

/** A request that goes to the upstream whatever is stored. */
class PassedCall implements Responder {
  readonly #plan: CachePlan;
  readonly #why: Forwarded;
  readonly #responder: Responder;

  constructor(plan: CachePlan, why: Forwarded, responder: Responder) {
    this.#plan = plan;
    this.#why = why;
    this.#responder = responder;
  }

  begin(exchange: Exchange): void {
    this.#plan.call(exchange, this).begin();
  }

  answer(exchange: Exchange, outgoing: Outgoing): void {
    const { selfWritten } = outgoing;
    if (selfWritten instanceof Attempt) {
      const { status } = selfWritten;
      // What was refused has changed nothing (RFC 9111 section 4.4).
      if (this.#why === "method" && status < 400) this.#invalidate(exchange, selfWritten);
      selfWritten.fields = withoutTags(selfWritten.fields);
      exchange.putHeader("cache-status", forwardedStatus(this.#why, { status }));
    }
    this.#responder.answer(exchange, outgoing);
  }

  refuse(exchange: Exchange, error: unknown): void {
    // It may have been done all the same.
    if (this.#why === "method") this.#plan.cache.invalidate(this.#urlOf(exchange));
    this.#responder.refuse(exchange, error);
  }

  #urlOf(exchange: Exchange): string {
    return origin(exchange, this.#plan.trustedPeers) + exchange.url;
  }

  #invalidate(exchange: Exchange, { fields: raw }: Attempt): void {
    const url = this.#urlOf(exchange);
    const { cache } = this.#plan;
    cache.invalidate(url);
    const fields = fieldsOf(raw);
    for (const name of ["location", "content-location"]) {
      const named = fields.get(name);
      const other = named === undefined ? undefined : sameOrigin(named, url);
      if (other !== undefined) cache.invalidate(other);
    }
  }
}

/** What `reference` means beside `base`; undefined for another origin's. */
function sameOrigin(reference: string, base: string): string | undefined {
  const from = URL.parse(base);
  const to = URL.parse(reference, base);
  if (from === null || to === null || to.origin !== from.origin) return undefined;
  return base.slice(0, base.indexOf("/", base.indexOf("://") + 3)) + to.pathname + to.search;
}
