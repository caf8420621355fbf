import {
  asksForWebSocket,
  type Exchange,
  type Outgoing,
  type Relay,
  type RelayBackend,
  type RelayKeys,
  type Responder,
  type Route,
} from "../../edge/index.ts";
import { Attempt } from "../attempt.ts";
import { endsHere, namedByConnection } from "../headers/hop-by-hop.ts";
import type { RawFields } from "../headers/raw-fields.ts";
import { origin } from "./asked.ts";
import { forwardedStatus, type Forwarded } from "./cache-status.ts";
import type { CachePlan } from "./cache-plan.ts";
import { CachedCall } from "./cached-call.ts";
import { withoutTags } from "./entry.ts";
import { fieldsOf } from "./fields.ts";
import type { ResponseCache } from "./response-cache.ts";

/** A relay whose answers are kept and given again. */
export class CachedRelay implements Relay {
  readonly backend: RelayBackend;
  readonly takesWebSockets: boolean;
  readonly keys?: RelayKeys;
  readonly plan: CachePlan;

  constructor({ backend, takesWebSockets, keys }: Omit<Relay, "begin">, plan: CachePlan) {
    this.backend = backend;
    this.takesWebSockets = takesWebSockets;
    if (keys !== undefined) this.keys = keys;
    this.plan = plan;
  }

  /** @see {Relay} */
  begin(exchange: Exchange, responder: Responder): void {
    const { method } = exchange;
    const isRead = method === "GET" || method === "HEAD";
    if (!isRead) new PassedCall(this.plan, "method", responder).begin(exchange);
    else if (isForUpstream(exchange))
      new PassedCall(this.plan, "bypass", responder).begin(exchange);
    else new CachedCall(this.plan, exchange, responder).begin();
  }
}

/** The caches of these routes, each once. */
export function cachesOf(routes: readonly Route[]): readonly ResponseCache[] {
  const caches = routes.flatMap(({ relay }) =>
    relay instanceof CachedRelay ? relay.plan.cache : [],
  );
  return [...new Set(caches)];
}

/** A request that a stored answer is none for, or whose answer is none for others. */
function isForUpstream({ request, headers }: Exchange): boolean {
  // The upstream gets less than what `Vary` and credentials are looked for in here.
  for (const name of namedByConnection(headers.connection)) {
    if (name !== "close" && !endsHere(name)) return true;
  }
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
    const { selfWritten, answer } = outgoing;
    const raw = selfWritten instanceof Attempt ? selfWritten.fields : [];
    // What was refused has changed nothing (RFC 9111 section 4.4).
    if (this.#why === "method" && answer.status < 400) this.#invalidate(exchange, raw);
    if (selfWritten instanceof Attempt) selfWritten.fields = withoutTags(raw);
    exchange.putHeader("cache-status", forwardedStatus(this.#why, { status: answer.status }));
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

  #invalidate(exchange: Exchange, raw: RawFields): void {
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
