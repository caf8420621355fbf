import {
  defineRoute,
  TrustedProxies,
  type Auth,
  type Relay,
  type Route,
} from "../../edge/index.ts";
import type { ProxyOptions } from "../define-proxy.ts";
import type { Upstream } from "../upstream.ts";
import { GrpcCall, type GrpcPlan } from "./call.ts";

type OfRoutes =
  | "certificate"
  | "keyMode"
  | "roles"
  | "scopes"
  | "cors"
  | "limits"
  | "maxInFlight"
  | "critical"
  | "summary"
  | "tags"
  | "deprecated"
  | "trustedPeers";

/** Declaration of a service of gRPC that an upstream answers; what is not described here is as in `defineRoute`. */
export interface GrpcOptions extends Pick<ProxyOptions, OfRoutes> {
  /** Full name of the service: `orders.v1.Orders`. */
  readonly service: string;
  /** Names of its methods; default all. */
  readonly methods?: readonly string[];
  readonly auth?: Auth;
  readonly upstream: Upstream;
  /** Longest message of a caller in bytes, and of the answer to a call by Connect that is one message; default 4 MiB, as servers of gRPC have it. */
  readonly maxMessageBytes?: number;
  /** The longest that a call may take, whatever its `grpc-timeout` or `Connect-Timeout-Ms`; default as long as that says, or for ever. */
  readonly maxDeadlineMs?: number;
}

const defaultMessageBytes = 4_194_304;
const names = {
  service: /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*$/,
  method: /^[A-Za-z_]\w*$/,
} as const;

/** True for what a service, or one of its methods, can be called. */
export function isGrpcName(kind: keyof typeof names, name: string): boolean {
  return names[kind].test(name);
}

/**
 * Declares routes for a service of gRPC: calls pass the stages of every route, and then go on, messages
 * unread, with their streams both ways, trailers and deadline. Callers speak gRPC over HTTP/2, or gRPC-Web or
 * Connect over any HTTP, and are told refusals as a `grpc-status`, by Connect as its errors. By Connect, JSON needs an
 * upstream that takes `application/grpc+json`, a call of one message is held whole both ways, and none comes by GET.
 * @example defineGrpc({ service: "orders.v1.Orders", upstream: upstream({ name: "orders", endpoints }) })
 * @throws {TypeError} for a name that is none, or an option that cannot work.
 */
export function defineGrpc(options: GrpcOptions): Route[] {
  const { service, methods } = options;
  if (!isGrpcName("service", service)) throw new TypeError(`${service} is no name of a service`);
  const wrong = methods?.find((name) => !isGrpcName("method", name));
  if (wrong !== undefined) throw new TypeError(`${service}: ${wrong} is no name of a method`);
  const paths = methods?.map((name) => `/${service}/${name}`) ?? [`/${service}/:method`];
  return paths.map((path) => ({ ...routeOf(path, options), relay: relayOf(options) }));
}

function routeOf(path: string, options: GrpcOptions): Route {
  const { service: _service, methods: _methods, upstream: _upstream, ...rest } = options;
  const {
    maxMessageBytes: _bytes,
    maxDeadlineMs: _deadline,
    trustedPeers: _peers,
    ...route
  } = rest;
  return defineRoute({
    ...route,
    method: "POST",
    path,
    replies: { 200: null },
    transaction: "none",
    handler: neverCalled,
  });
}

function relayOf(options: GrpcOptions): Relay {
  const plan: GrpcPlan = {
    upstream: options.upstream,
    preserveHost: false,
    trustedPeers: new TrustedProxies(options.trustedPeers ?? []),
    maxMessageBytes: options.maxMessageBytes ?? defaultMessageBytes,
    maxDeadlineMs: options.maxDeadlineMs,
  };
  return {
    backend: options.upstream,
    takesWebSockets: false,
    takesCalls: true,
    begin: (exchange, responder) => new GrpcCall(plan, exchange, responder).begin(),
  };
}

function neverCalled(): never {
  throw new TypeError("The service's upstream answers");
}
