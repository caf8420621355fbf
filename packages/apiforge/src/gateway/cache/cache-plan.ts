import type { Exchange, Responder, TrustedProxies } from "../../edge/index.ts";
import type { CallChanges, ProxyCall } from "../proxy-call.ts";
import type { ResponseCache } from "./response-cache.ts";

/** What calls of a cached route have in common. */
export interface CachePlan {
  readonly cache: ResponseCache;
  readonly trustedPeers: TrustedProxies;
  /** Fields of clients that the upstream never gets. */
  readonly withheld: ReadonlySet<string>;
  /** The upstream can be asked whether a stored answer holds; not where the route made that out of the upstream's. */
  readonly validates: boolean;
  /** A request to the upstream, not begun yet. */
  readonly call: (exchange: Exchange, responder: Responder, changes?: CallChanges) => ProxyCall;
}

/** Fields of a request that the cache answers itself: its own question is about the whole of what it has stored. */
export const conditions: ReadonlySet<string> = new Set([
  "if-modified-since",
  "if-none-match",
  "if-range",
  "range",
]);
