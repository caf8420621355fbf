export { takeEntries, writeEntries } from "./cache/cache-file.ts";
export type { Entry } from "./cache/entry.ts";
export { cachesOf } from "./cache/cached-relay.ts";
export { isPurged, type Purge } from "./cache/memory-store.ts";
export type { PurgeLog } from "./cache/purge-log.ts";
export {
  defaultCacheName,
  responseCache,
  type ResponseCache,
  type ResponseCacheOptions,
} from "./cache/response-cache.ts";
export { allMethods, defineProxy, type ProxyOptions } from "./define-proxy.ts";
export { markedCanary, type Canary, type RequestMark, type StickyBy } from "./canary.ts";
export type { ShadowOptions } from "./shadow.ts";
export type { HeadDeclaration, ShapingOptions } from "./shaping.ts";
export { reservedField, type HeadKind } from "./declared-fields.ts";
export type {
  HeadChanges,
  RelayedAnswer,
  RelayedRequest,
  RequestChanges,
  TransformReply,
  TransformRequest,
  TransformResponse,
} from "./shaping-hooks.ts";
export { defineGrpc, isGrpcName, type GrpcOptions } from "./grpc/define-grpc.ts";
export { gatewayErrors } from "./errors.ts";
export type { Balancing } from "./balancing.ts";
export type { BreakerOptions, BreakerState } from "./breaker.ts";
export type { UpstreamTls, UpstreamTlsFiles } from "./upstream-tls.ts";
export type {
  GrpcHealthOptions,
  HealthOptions,
  HealthRhythm,
  HttpHealthOptions,
} from "./health.ts";
export {
  upstream,
  type EndpointState,
  type RetryOptions,
  type Upstream,
  type UpstreamOptions,
} from "./upstream.ts";
