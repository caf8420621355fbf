import type {
  ApiDescription,
  CorsOptions,
  LimitOptions,
  PlacedStage,
  Route,
  ServerLimits,
  SubjectPart,
  TrustedIssuer,
} from "../../edge/index.ts";
import type {
  Canary,
  GrpcOptions,
  ProxyOptions,
  ResponseCacheOptions,
  ShadowOptions,
  UpstreamOptions,
} from "../../gateway/index.ts";
import type { JsonSchema, Schema } from "../../schema/index.ts";

/** A service behind the gateway; see {@link UpstreamOptions}. Its name is its key in the configuration. */
export type UpstreamConfig = Pick<
  UpstreamOptions,
  | "endpoints"
  | "timeouts"
  | "connections"
  | "maxPending"
  | "balancing"
  | "breaker"
  | "health"
  | "ca"
  | "certificate"
  | "tlsFiles"
  | "retry"
>;

/**
 * Limits in few words: so many requests in every second, minute or hour, and so many a day or a month of
 * the calendar (UTC). Those of a policy count all routes of the policy together, those of a route all
 * its methods.
 */
export interface RequestRates {
  readonly perSecond?: number;
  readonly perMinute?: number;
  readonly perHour?: number;
  readonly perDay?: number;
  readonly perMonth?: number;
  /** Whom they count; default `principal`, and `address` where nobody has to be known (`auth: "none"`). */
  readonly by?: SubjectPart | readonly SubjectPart[];
}

/** Limits by rates, or each with a name of its own. */
export type LimitsConfig = RequestRates | readonly LimitOptions[];

/** What routes may have in common. */
export interface PolicyConfig extends Pick<
  ProxyOptions,
  | "auth"
  | "certificate"
  | "keyMode"
  | "roles"
  | "scopes"
  | "cors"
  | "maxBodyBytes"
  | "maxInFlight"
  | "critical"
  | "idempotency"
  | "sanitizeErrors"
  | "maxReplyBytes"
  | "preserveHost"
  | "webSockets"
  | "trustedPeers"
  | "unknownFields"
  | "tags"
  | "deprecated"
  | "request"
  | "response"
  | "stickyBy"
> {
  /** Default none. Those of all policies of a route and its own count together. */
  readonly limits?: LimitsConfig;
  /**
   * Keeps answers to GET as RFC 9111 lets a shared cache, in the one of `caches` that it names; true: in the one called
   * `responses`, which need not be declared. What may be kept and for how long the upstream says, or `response.headers.set`. Default false.
   */
  readonly cache?: boolean | string;
  /** Other upstreams for a share of the requests, or for those with a field or cookie; the first that fits counts. Default none; not together with `cache`. */
  readonly canaries?: readonly CanaryConfig[];
  /** Gets copies of requests; false: nobody, whatever a policy says. Default nobody. */
  readonly shadow?: ShadowConfig | false;
}

/** See {@link Canary}. */
export interface CanaryConfig extends Omit<Canary, "upstream"> {
  /** The name of one of the `upstreams`. */
  readonly upstream: string;
}

/** See {@link ShadowOptions}. */
export interface ShadowConfig extends Omit<ShadowOptions, "upstream"> {
  /** The name of one of the `upstreams`. */
  readonly upstream: string;
}

/** Room for stored answers; see {@link ResponseCacheOptions}. */
export type CacheConfig = Pick<ResponseCacheOptions, "maxBytes" | "maxEntryBytes">;

/** A path that an upstream answers. */
export interface RouteConfig extends PolicyConfig, Pick<ProxyOptions, "path" | "methods"> {
  /** The name of one of the `upstreams`. */
  readonly upstream: string;
  /** Names of `policies`, of which later ones win over earlier ones, and the route's own words over all. */
  readonly policies?: readonly string[];
  /** Taken away from the front of the path; true for all that stands before its `/*`. Default nothing. */
  readonly stripPrefix?: string | true;
  /** JSON Schema of the path's parameters, or a schema of a library. What does not fit is refused with 400. */
  readonly params?: Schema | JsonSchema;
  readonly query?: Schema | JsonSchema;
  /** Names in lower case. */
  readonly headers?: Schema | JsonSchema;
  /** The upstream gets the JSON of what was checked. */
  readonly body?: Schema | JsonSchema | "bytes";
  /** Schemas of the upstream's JSON by status: only the fields that they declare leave; null for no body. Default: answers pass as they are. */
  readonly replies?: Readonly<Record<number, Schema | JsonSchema | null>>;
  /** One line for the API reference. */
  readonly summary?: string;
}

/** All operations of an OpenAPI 3.1 document as routes of one upstream; what it says wins over a policy's and this entry's words. */
export interface OpenApiConfig extends PolicyConfig {
  /** The document, with references within it only. */
  readonly openapi: object;
  readonly upstream: string;
  readonly policies?: readonly string[];
  /** Goes in front of the document's paths here, and not at the upstream; default nothing. */
  readonly prefix?: string;
}

/** What of policies and defaults a service of gRPC takes over. */
export type GrpcPolicy = Pick<PolicyConfig, keyof PolicyConfig & keyof GrpcOptions>;

/** A service of gRPC that an upstream answers; see {@link GrpcOptions}. */
export interface GrpcConfig
  extends GrpcPolicy, Pick<GrpcOptions, "methods" | "maxMessageBytes" | "maxDeadlineMs"> {
  /** Full name of the service: `orders.v1.Orders`. */
  readonly grpc: string;
  /** The name of one of the `upstreams`. */
  readonly upstream: string;
  /** Names of `policies` that say nothing else than a service of gRPC can have. */
  readonly policies?: readonly string[];
  /** One line for the API reference. */
  readonly summary?: string;
}

/** Who issues tokens; see {@link TrustedIssuer}. */
export interface IssuerConfig extends Omit<TrustedIssuer, "jwks" | "audience"> {
  readonly audience?: string | undefined;
  /** Its public keys, or the https address where it publishes them. */
  readonly jwks: string | TrustedIssuer["jwks"];
}

/** Limits of the whole gateway; see {@link ServerLimits}. */
export interface GatewayLimits extends Omit<ServerLimits, "limits" | "plans"> {
  /** For every route; counted by address unless they say otherwise. */
  readonly everywhere?: LimitsConfig;
  /** By the plan of the caller's credential; counted by credential unless they say otherwise. */
  readonly plans?: Readonly<Record<string, LimitsConfig>>;
}

/** A route of an upstream, a service of gRPC, a document of routes, one of our own (`defineRoute`), or several of `defineProxy`. */
export type RouteEntry = RouteConfig | GrpcConfig | OpenApiConfig | Route | readonly Route[];

/** A gateway as data, with functions where data does not do. */
export interface GatewayConfig {
  /** The services behind it, by name. */
  readonly upstreams: Readonly<Record<string, UpstreamConfig>>;
  /**
   * Default: the one upstream gets every path; of several each gets what is below its name, without
   * the name: `/orders/17` is `/17` at `orders`.
   */
  readonly routes?: readonly RouteEntry[];
  /** Settings with a name, which routes take over by it. */
  readonly policies?: Readonly<Record<string, PolicyConfig>>;
  /** Settings of every route of an upstream that says nothing else; default those of `defineProxy`. */
  readonly defaults?: PolicyConfig;
  /** Caches with a name, which routes share by it. What they hold goes on as long as nothing changes that decides what their routes answer. */
  readonly caches?: Readonly<Record<string, CacheConfig>>;
  /** Issuers whose tokens are accepted besides the one that the environment names. */
  readonly issuers?: readonly IssuerConfig[];
  /** Pages of other origins that may call routes without a `cors` of their own; default none. */
  readonly cors?: CorsOptions;
  readonly limits?: GatewayLimits;
  /** True serves `/v1/keys`, where tenants make API keys themselves. Default false. */
  readonly apiKeys?: boolean;
  /**
   * True serves `GET /v1/revision` to callers of role `admin`, of whatever tenant: which configuration is
   * served, what was refused last, and how the upstreams are. Default false.
   */
  readonly shown?: boolean;
  /** Head of `/openapi.json`; default title `Gateway`. */
  readonly api?: ApiDescription;
  /** Stages of your own; see `stage`. */
  readonly stages?: readonly PlacedStage[];
}

/**
 * Types a configuration; it is checked when it is started, or by `apiforge check`.
 * @example export default defineConfig({ upstreams: { orders: { endpoints: ["http://127.0.0.1:8080"] } } });
 */
export function defineConfig(config: GatewayConfig): GatewayConfig {
  return config;
}

/**
 * The routes of an OpenAPI 3.1 document: paths, what callers must prove, validators, and of answers only the
 * fields that it declares. What it has that cannot be a route is a problem of the configuration, with its JSON pointer.
 * @example routes: fromOpenApi(document, { upstream: "pets" })
 */
export function fromOpenApi(
  document: object,
  options: Omit<OpenApiConfig, "openapi">,
): readonly OpenApiConfig[] {
  return [{ openapi: document, ...options }];
}
