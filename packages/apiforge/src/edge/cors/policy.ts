/** Which pages of other origins may call a route. */
export interface CorsOptions {
  /** Exact origins such as `https://shop.example.com`, `null` among them only if listed; `*` is every origin. */
  readonly origins: readonly string[] | "*";
  /** Methods that a page may use; default those of the routes that this applies to. */
  readonly methods?: readonly string[];
  /** Request headers that a page may set; default those that APIForge itself reads (of versions `API-Version`: list another name here), for a service of gRPC those of gRPC-Web and Connect too. */
  readonly headers?: readonly string[];
  /** Answer headers that a page may read; default those that APIForge itself sets (`API-Version` likewise). */
  readonly exposedHeaders?: readonly string[];
  /** True lets cookies and client certificates through. Default false; not with `*`. */
  readonly credentials?: boolean;
  /** How long a browser may keep the answer to a preflight; default 86,400 s. */
  readonly maxAgeSeconds?: number;
}

/** {@link CorsOptions} as the headers that they are. */
export interface CorsPolicy {
  readonly origins: ReadonlySet<string> | "*";
  readonly methods: ReadonlySet<string> | undefined;
  readonly headers: string;
  readonly exposedHeaders: string;
  readonly credentials: boolean;
  readonly maxAge: string;
}

const readHeaders = [
  "API-Version",
  "Authorization",
  "Content-Type",
  "Idempotency-Key",
  "If-Match",
  "If-None-Match",
  "traceparent",
  "X-Api-Key",
  "X-Idempotency-Key",
  "X-Request-Id",
];
const writtenHeaders = [
  "API-Version",
  "Deprecation",
  "ETag",
  "Idempotent-Replayed",
  "Link",
  "RateLimit",
  "RateLimit-Policy",
  "Retry-After",
  "Sunset",
  "X-Forge-Seq",
  "X-Rate-Limit-Limit",
  "X-Rate-Limit-Remaining",
  "X-Rate-Limit-Reset",
  "X-Request-Id",
];
// Of a service of gRPC, as clients of gRPC-Web and Connect send them (connectrpc.com/docs/cors).
const readOfCalls = [
  "Connect-Protocol-Version",
  "Connect-Timeout-Ms",
  "Grpc-Timeout",
  "X-Grpc-Web",
  "X-User-Agent",
];
const writtenOfCalls = ["Apiforge-Error"];
const defaultMaxAgeSeconds = 86_400;

/**
 * @param takesCalls for a service of gRPC.
 * @throws {TypeError} for what is no origin, and for credentials with every origin.
 */
export function corsPolicy(options: CorsOptions, takesCalls = false): CorsPolicy {
  const { origins, methods, credentials = false } = options;
  if (origins === "*" && credentials) {
    throw new TypeError("CORS: credentials need origins by name, not *");
  }
  if (origins !== "*") origins.forEach(requireOrigin);
  const read = takesCalls ? [...readHeaders, ...readOfCalls] : readHeaders;
  const written = takesCalls ? [...writtenHeaders, ...writtenOfCalls] : writtenHeaders;
  return {
    origins: origins === "*" ? origins : new Set(origins),
    methods: methods === undefined ? undefined : new Set(methods),
    headers: (options.headers ?? read).join(", "),
    exposedHeaders: (options.exposedHeaders ?? written).join(", "),
    credentials,
    maxAge: String(options.maxAgeSeconds ?? defaultMaxAgeSeconds),
  };
}

function requireOrigin(origin: string): void {
  if (origin === "null") return;
  if (URL.canParse(origin) && new URL(origin).origin === origin) return;
  throw new TypeError(`CORS: ${origin} is no origin, which is scheme://host[:port] in lower case`);
}

/** What `Access-Control-Allow-Origin` says to `origin`; undefined when it may not call. */
export function allowedOrigin(policy: CorsPolicy, origin: string | undefined): string | undefined {
  if (policy.origins === "*") return "*";
  return origin !== undefined && policy.origins.has(origin) ? origin : undefined;
}
