import {
  defineRoute,
  TrustedProxies,
  type Auth,
  type Method,
  type Relay,
  type RelayBackend,
  type Replies,
  type ReplyOf,
  type Route,
  type RouteOptions,
} from "../edge/index.ts";
import type { Schema } from "../schema/index.ts";

import { together } from "./backends.ts";
import type { CachePlan } from "./cache/cache-plan.ts";
import { CachedRelay } from "./cache/cached-relay.ts";
import type { ResponseCache } from "./cache/response-cache.ts";
import { Canaries, type Canary, type StickyBy } from "./canary.ts";
import { unknownOutcome } from "./idempotency.ts";
import { ProxyCall, type ProxyPlan } from "./proxy-call.ts";
import { Shadow, type ShadowOptions } from "./shadow.ts";
import { shapingOf, type ShapingOptions } from "./shaping.ts";
import type { Upstream } from "./upstream.ts";

type AnyRouteOptions = RouteOptions<
  string,
  Method,
  Auth,
  Schema | undefined,
  Schema | undefined,
  Schema | undefined,
  Schema | "bytes" | undefined,
  Replies,
  ReplyOf<Replies>,
  "none",
  "none"
>;

type OfRoutes =
  | "auth"
  | "certificate"
  | "keyMode"
  | "roles"
  | "scopes"
  | "params"
  | "query"
  | "headers"
  | "unknownFields"
  | "maxBodyBytes"
  | "cors"
  | "limits"
  | "maxInFlight"
  | "critical"
  | "summary"
  | "tags"
  | "deprecated";

/** Declaration of routes whose requests are passed on; what is not described here is as in `defineRoute`. */
export interface ProxyOptions extends Pick<AnyRouteOptions, OfRoutes>, ShapingOptions {
  /** As of a route; `/*` at its end stands for everything below. */
  readonly path: string;
  /** Default all. */
  readonly methods?: readonly Method[];
  readonly upstream: Upstream;
  /** Other upstreams that a share of the requests goes to, or those with a field or cookie; default none. The first that fits counts. */
  readonly canaries?: readonly Canary[];
  /** Whose requests stay with one upstream; default each request goes for itself. */
  readonly stickyBy?: StickyBy;
  /**
   * Requests are copied to another upstream, after they have been sent: those without a body, with one up to
   * 64 KiB, or with one that the route reads. Copies have `X-Shadow-Request: true`; what is answered to them is thrown away. Default none.
   */
  readonly shadow?: ShadowOptions;
  /** Without one, a body of any type is passed on as it arrives. With a schema the upstream gets the JSON of what was checked. */
  readonly body?: Schema | "bytes";
  /**
   * Methods that write take an `Idempotency-Key`: the request is recorded before it is sent, and its
   * answer then, for 24 h; see docs/reference/upstream-keys.md. Bodies, and answers up to `maxReplyBytes`, are
   * held for it. Without `retry.keyed` of the upstream nothing is ever sent twice. Default: keys are passed on like any other field.
   */
  readonly idempotency?: "optional" | "required";
  /** Taken away from the front of the path, for instance `/orders`. */
  readonly stripPrefix?: string;
  /** The upstream gets the `Host` that the client sent; default its own. */
  readonly preserveHost?: boolean;
  /**
   * Requests for a WebSocket (RFC 6455) pass the stages too and are then passed on, frames unread.
   * Pages of other origins need to be allowed by `cors`. Default false: they are requests like any other.
   */
  readonly webSockets?: boolean;
  /** Addresses and CIDR ranges of proxies in front of this server: what they say of the client in `Forwarded` and `X-Forwarded-*` is passed on. Default none. */
  readonly trustedPeers?: readonly string[];
  /**
   * Keeps answers as RFC 9111 lets a shared cache keep them, and gives them again without asking the upstream; see
   * {@link responseCache}. Not together with `canaries`. Default none: a route without one pays nothing.
   */
  readonly cache?: ResponseCache;
}

/** Those of a proxy that names none. */
export const allMethods: readonly Method[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const wildcard = "/*";
const nothingWithheld: ReadonlySet<string> = new Set();
const anyReplies: Replies = { 200: null };

/**
 * Declares routes that an upstream answers, in whatever language it is written: its requests pass
 * the stages of every route first. One route for each method.
 * @example defineProxy({ path: "/orders/*", upstream: upstream({ name: "orders", endpoints }) })
 * @throws {TypeError} for a path or option that cannot work.
 */
export function defineProxy(options: ProxyOptions): Route[] {
  const { path, methods = allMethods, cache, canaries = [] } = options;
  if (cache !== undefined && canaries.length > 0) {
    throw new TypeError(`Proxy ${path}: a cache would give one caller's canary to all others`);
  }
  if (options.idempotency !== undefined && options.auth === "none") {
    throw new TypeError(`Proxy ${path}: keys of callers that nothing tells apart share one space`);
  }
  const end = path.endsWith(wildcard) ? wildcard : "";
  const prefix = path.slice(0, path.length - end.length) || "/";
  const shared = sharedParts(options);
  return methods.map((method) => {
    const route: Route = defineRoute({
      ...routeOptions(options, method),
      method,
      path: prefix,
      replies: options.replies ?? anyReplies,
      transaction: "none",
      handler: neverCalled,
    });
    const whole = end === "" ? prefix : `${prefix === "/" ? "" : prefix}${end}`;
    const idempotency = route.method === "GET" ? "none" : (options.idempotency ?? "none");
    return { ...route, path: whole, idempotency, relay: relayOf(options, route, shared) };
  });
}

/** What a route knows of it; a GET has no body, and one that a key is good for is read before it is sent. */
function routeOptions({ body, idempotency, ...rest }: ProxyOptions, method: Method) {
  const { cache: _, ...options } = rest;
  const read = body ?? (idempotency === undefined ? undefined : "bytes");
  return method === "GET" || read === undefined ? options : { ...options, body: read };
}

/** What the routes of one declaration share. */
interface SharedParts {
  readonly backend: RelayBackend;
  readonly shadow: Shadow | undefined;
}

function sharedParts({ upstream, canaries = [], shadow: copies }: ProxyOptions): SharedParts {
  const shadow = copies && new Shadow(copies);
  const others = canaries.map((canary) => canary.upstream);
  const all = [upstream, ...others, ...(shadow === undefined ? [] : [shadow.upstream])];
  return { backend: together(all), shadow };
}

function relayOf(options: ProxyOptions, route: Route, { backend, shadow }: SharedParts): Relay {
  const { upstream, canaries = [], stickyBy } = options;
  const plan: ProxyPlan = {
    upstream,
    stripPrefix: options.stripPrefix ?? "",
    preserveHost: options.preserveHost ?? false,
    trustedPeers: new TrustedProxies(options.trustedPeers ?? []),
    maxBodyBytes: route.maxBodyBytes,
    hasCheckedBody: route.body !== undefined,
    takesWebSockets: route.method === "GET" && (options.webSockets ?? false),
    shaping: shapingOf(route, options),
    // Asking another upstream under the same key is asking twice.
    areKeysKnown: upstream.retry.keyed && canaries.length === 0,
    shadow,
  };
  const keys = { areKnown: plan.areKeysKnown, unknownOutcome };
  const relay = {
    backend,
    ...(options.idempotency === undefined ? {} : { keys }),
    takesWebSockets: plan.takesWebSockets,
  };
  const { cache } = options;
  if (cache !== undefined) return new CachedRelay(relay, cachePlan(plan, cache));
  return { ...relay, begin: beginning(plan, canaries, stickyBy) };
}

function cachePlan(plan: ProxyPlan, cache: ResponseCache): CachePlan {
  return {
    cache,
    trustedPeers: plan.trustedPeers,
    withheld: plan.shaping?.withheld ?? nothingWithheld,
    validates: plan.shaping?.looksInside !== true,
    call: (exchange, responder, changes) => new ProxyCall(plan, exchange, responder, changes),
  };
}

function beginning(
  plan: ProxyPlan,
  canaries: readonly Canary[],
  stickyBy: StickyBy | undefined,
): Relay["begin"] {
  if (canaries.length === 0) {
    return (exchange, responder) => new ProxyCall(plan, exchange, responder).begin();
  }
  const choice = new Canaries(plan.upstream, canaries, stickyBy);
  return function beginAtChosen(exchange, responder) {
    const upstream = choice.choose(exchange);
    new ProxyCall({ ...plan, upstream }, exchange, responder).begin();
  };
}

function neverCalled(): never {
  throw new TypeError("The route's upstream answers");
}
