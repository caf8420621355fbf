import {
  defineRoute,
  TrustedProxies,
  type Auth,
  type Method,
  type Relay,
  type Replies,
  type ReplyOf,
  type Route,
  type RouteOptions,
} from "../edge/index.ts";
import type { Schema } from "../schema/index.ts";

import type { CachePlan } from "./cache/cache-plan.ts";
import { CachedRelay } from "./cache/cached-relay.ts";
import type { ResponseCache } from "./cache/response-cache.ts";
import { ProxyCall, type ProxyPlan } from "./proxy-call.ts";
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
  /** Without one, a body of any type is passed on as it arrives. With a schema the upstream gets the JSON of what was checked. */
  readonly body?: Schema | "bytes";
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
   * {@link responseCache}. Default none: a route without one pays nothing.
   */
  readonly cache?: ResponseCache;
}

/** Those of a proxy that names none. */
export const allMethods: readonly Method[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const wildcard = "/*";
const anyReplies: Replies = { 200: null };

/**
 * Declares routes that an upstream answers, in whatever language it is written: its requests pass
 * the stages of every route first. One route for each method.
 * @example defineProxy({ path: "/orders/*", upstream: upstream({ name: "orders", endpoints }) })
 * @throws {TypeError} for a path or option that cannot work.
 */
export function defineProxy(options: ProxyOptions): Route[] {
  const { path, methods = allMethods } = options;
  const end = path.endsWith(wildcard) ? wildcard : "";
  const prefix = path.slice(0, path.length - end.length) || "/";
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
    return { ...route, path: whole, relay: relayOf(options, route) };
  });
}

/** What a route knows of it; a GET has no body. */
function routeOptions({ body, ...rest }: ProxyOptions, method: Method) {
  const { cache: _, ...options } = rest;
  return method === "GET" || body === undefined ? options : { ...options, body };
}

function relayOf(options: ProxyOptions, route: Route): Relay {
  const plan: ProxyPlan = {
    upstream: options.upstream,
    stripPrefix: options.stripPrefix ?? "",
    preserveHost: options.preserveHost ?? false,
    trustedPeers: new TrustedProxies(options.trustedPeers ?? []),
    maxBodyBytes: route.maxBodyBytes,
    hasCheckedBody: route.body !== undefined,
    takesWebSockets: route.method === "GET" && (options.webSockets ?? false),
    shaping: shapingOf(route, options),
  };
  const { upstream: backend, cache } = options;
  const { takesWebSockets, trustedPeers } = plan;
  if (cache !== undefined) {
    const call: CachePlan["call"] = (exchange, responder, changes) =>
      new ProxyCall(plan, exchange, responder, changes);
    const validates = plan.shaping?.looksInside !== true;
    return new CachedRelay(backend, takesWebSockets, { cache, trustedPeers, validates, call });
  }
  return {
    backend,
    takesWebSockets,
    begin: (exchange, responder) => new ProxyCall(plan, exchange, responder).begin(),
  };
}

function neverCalled(): never {
  throw new TypeError("The route's upstream answers");
}
