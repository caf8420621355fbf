import {
  stageOrder,
  type CorsOptions,
  type LimitOptions,
  type ServerLimits,
} from "../../edge/index.ts";
import {
  isGrpcName,
  type GrpcHealthOptions,
  type HttpHealthOptions,
  type UpstreamOptions,
} from "../../gateway/index.ts";
import { durationMs, type Duration } from "../../kernel/index.ts";
import type {
  CacheConfig,
  GatewayConfig,
  GatewayLimits,
  GrpcConfig,
  IssuerConfig,
  OpenApiConfig,
  PolicyConfig,
  RequestRates,
  RouteConfig,
  UpstreamConfig,
} from "./gateway-config.ts";
import { headShape } from "./head-shape.ts";
import {
  choice,
  count,
  isObject,
  leaf,
  list,
  object,
  oneOf,
  record,
  text,
  yesOrNo,
  type Shape,
} from "./shape.ts";
import { canariesShape, shadowShape, stickyShape } from "./ways-shape.ts";

const longestMs = 86_400_000;
const milliseconds = count(0, longestMs, " ms");
const manyRequests = count(1, 1_000_000_000);
const method = oneOf(["GET", "POST", "PUT", "PATCH", "DELETE"]);
const words = list(text("a text"), "a list of texts");
const anyObject = leaf("an object", isObject);
const aFunction = leaf("a function", (value) => typeof value === "function");
const namePattern = /^[a-z][a-z0-9-]{0,47}$/;
const nameExpected = "1-48 of a-z, 0-9 and -, a letter first";

const subject = oneOf(["address", "tenant", "credential", "principal", "route"]);
const subjects = choice((value) =>
  Array.isArray(value) ? list(subject, "a list of what callers are told apart by", 1) : subject,
);

const rates = object<RequestRates>(
  {},
  {
    perSecond: manyRequests,
    perMinute: manyRequests,
    perHour: manyRequests,
    perDay: manyRequests,
    perMonth: manyRequests,
    by: subjects,
  },
);

const windowLength = leaf("1s to 30d such as 10s, 1m or 24h, day or month", (value) => {
  if (value === "day" || value === "month") return true;
  const ms = millisecondsOf(value);
  return ms >= 1_000 && ms <= 30 * longestMs;
});

const namedLimit = object<LimitOptions>(
  {
    name: text("a name of 1-64 of a-z, 0-9 and -", /^[a-z0-9-]{1,64}$/),
    limit: manyRequests,
    per: windowLength,
  },
  { by: choice((value) => (typeof value === "function" ? aFunction : subjects)) },
);

const limits = choice((value) => (Array.isArray(value) ? list(namedLimit, "a list") : rates));

const origins = choice((value) =>
  value === "*" ? yes : list(origin(), 'a list of origins, or "*" for every origin', 1),
);

const corsFields = object<CorsOptions>(
  { origins },
  {
    methods: words,
    headers: words,
    exposedHeaders: words,
    credentials: yesOrNo,
    maxAgeSeconds: count(0, 31_536_000, " s"),
  },
);

const cors: Shape = (value, path, problems) => {
  corsFields(value, path, problems);
  if (!isObject(value) || value["origins"] !== "*" || value["credentials"] !== true) return;
  const at = [...path, "credentials"];
  problems.add(at, "is not for every origin", "List the origins, or take it away.");
};

const policyFields = {
  auth: oneOf(["jwt", "key", "any", "certificate", "optional", "none"]),
  certificate: oneOf(["required", "noted"]),
  keyMode: oneOf(["live", "test"]),
  roles: words,
  scopes: words,
  cors: choice((value) => (value === false ? yes : cors)),
  limits,
  maxBodyBytes: count(0, 1_073_741_824, " bytes"),
  maxInFlight: count(1, 1_000_000),
  critical: yesOrNo,
  idempotency: oneOf(["optional", "required"]),
  sanitizeErrors: yesOrNo,
  maxReplyBytes: count(0, 1_073_741_824, " bytes"),
  preserveHost: yesOrNo,
  webSockets: yesOrNo,
  trustedPeers: words,
  unknownFields: oneOf(["refuse", "remove", "keep"]),
  tags: words,
  deprecated: anyObject,
  cache: choice((value) =>
    typeof value === "boolean" ? yes : text("true, false or the name of a cache"),
  ),
  canaries: canariesShape,
  stickyBy: stickyShape,
  shadow: shadowShape,
  request: headShape("request"),
  response: headShape("response"),
};

const policy = object<PolicyConfig>({}, policyFields);

/** Of a policy, what a service of gRPC takes over. */
export const grpcPolicyFields = {
  auth: policyFields.auth,
  certificate: policyFields.certificate,
  keyMode: policyFields.keyMode,
  roles: words,
  scopes: words,
  cors: policyFields.cors,
  limits,
  maxInFlight: policyFields.maxInFlight,
  critical: yesOrNo,
  trustedPeers: words,
  tags: words,
  deprecated: anyObject,
};

/** A service of gRPC. */
export const grpcShape: Shape = object<GrpcConfig>(
  {
    grpc: grpcName("service", "the full name of a service, such as orders.v1.Orders"),
    upstream: text("the name of an upstream"),
  },
  {
    ...grpcPolicyFields,
    policies: list(text("the name of a policy"), "a list of names of policies"),
    methods: list(grpcName("method", "the name of a method"), "a list of methods", 1),
    maxMessageBytes: count(1, 1_073_741_824, " bytes"),
    maxDeadlineMs: count(1, longestMs, " ms"),
    summary: text("one line"),
  },
);

const schema = leaf("a JSON Schema, or a schema of Zod or TypeBox", isObject);

/** A route of an upstream. */
export const routeShape: Shape = object<RouteConfig>(
  {
    path: text(
      "a path of /segment and /:name parts without a slash at its end; /* may end it",
      /^\/(?:[^/].*[^/]|[^/])?$/s,
    ),
    upstream: text("the name of an upstream"),
  },
  {
    ...policyFields,
    methods: list(method, "a list of methods", 1),
    policies: list(text("the name of a policy"), "a list of names of policies"),
    stripPrefix: choice((value) =>
      value === true ? yes : text("a prefix such as /orders, or true", /^\/./),
    ),
    params: schema,
    query: schema,
    headers: schema,
    body: choice((value) => (value === "bytes" ? yes : schema)),
    replies: record(
      /^[1-5]\d\d$/,
      "a status",
      choice((value) => (value === null ? yes : schema)),
    ),
    summary: text("one line"),
  },
);

/** An OpenAPI document as an entry; the document itself is looked at by whoever reads it. */
export const openApiShape: Shape = object<OpenApiConfig>(
  { openapi: leaf("an OpenAPI 3.1 document", isObject), upstream: text("the name of an upstream") },
  {
    ...policyFields,
    policies: list(text("the name of a policy"), "a list of names of policies"),
    prefix: text("a prefix such as /pets", /^(?:\/[\w.~-]+)+$/),
  },
);

const file = text("the path of a file in PEM");

const endpoint = leaf("an endpoint: http://host[:port][/path], or https", (value) => {
  if (typeof value !== "string" || !URL.canParse(value)) return false;
  const { protocol, search, hash, username } = new URL(value);
  return /^https?:$/.test(protocol) && `${search}${hash}${username}` === "";
});

const rhythm = {
  intervalMs: milliseconds,
  timeoutMs: milliseconds,
  failures: count(1, 1_000),
  successes: count(1, 1_000),
  random: aFunction,
};
const httpHealth = object<HttpHealthOptions>(
  { path: text("a path such as /health", /^\//) },
  rhythm,
);
const grpcHealth = object<GrpcHealthOptions>(
  {
    service: text(
      "the full name of a service of gRPC, or an empty text for all of a server",
      /^(?:[A-Za-z_][\w.]*)?$/,
    ),
  },
  rhythm,
);

const upstream = object<UpstreamConfig>(
  { endpoints: list(endpoint, "a list of at least one endpoint", 1) },
  {
    timeouts: object<NonNullable<UpstreamOptions["timeouts"]>>(
      {},
      {
        connectMs: milliseconds,
        headMs: milliseconds,
        idleMs: milliseconds,
        clientMs: milliseconds,
        webSocketMs: milliseconds,
      },
    ),
    connections: count(1, 10_000),
    maxPending: count(1, 1_000_000),
    balancing: choice((value) =>
      isObject(value)
        ? object<{ readonly by: unknown }>({ by: aFunction }, {})
        : oneOf(["least-pending", "round-robin"]),
    ),
    breaker: object<NonNullable<UpstreamConfig["breaker"]>>(
      {},
      { failures: count(1, 1_000_000), openMs: milliseconds },
    ),
    health: choice((value) => (isObject(value) && "service" in value ? grpcHealth : httpHealth)),
    ca: text("authorities in PEM", /-----BEGIN CERTIFICATE-----/),
    certificate: object<NonNullable<UpstreamConfig["certificate"]>>(
      {
        key: text("a private key in PEM", /-----BEGIN [A-Z ]*PRIVATE KEY-----/),
        cert: text("its certificate in PEM", /-----BEGIN CERTIFICATE-----/),
      },
      {},
    ),
    tlsFiles: object<NonNullable<UpstreamConfig["tlsFiles"]>>(
      {},
      { ca: file, key: file, cert: file },
    ),
    retry: object<NonNullable<UpstreamConfig["retry"]>>(
      {},
      {
        attempts: count(1, 10),
        statuses: list(count(400, 599), "a list of statuses"),
        delayMs: milliseconds,
        keyed: yesOrNo,
      },
    ),
  },
);

const cacheBytes = count(1, 1_099_511_627_776, " bytes");
const cache = object<CacheConfig>({}, { maxBytes: cacheBytes, maxEntryBytes: cacheBytes });

const issuer = object<IssuerConfig>(
  {
    issuer: text("the exact iss of its tokens"),
    jwks: choice((value) =>
      typeof value === "string" ? keyAddress() : leaf("its keys, or where they are", isObject),
    ),
  },
  {
    audience: text("what the aud of its tokens holds"),
    algorithms: words,
    tokenTypes: list(
      leaf("a type, or null for none", (value) => value === null || typeof value === "string"),
      "a list of types",
    ),
    accepts: record(/./s, "any text", words),
    idTokens: yesOrNo,
    claims: anyObject,
  },
);

const loadFields = object<NonNullable<ServerLimits["load"]>>(
  { maxInFlight: count(1, 1_000_000) },
  { reserved: count(0, 1_000_000) },
);

const load: Shape = (value, path, problems) => {
  loadFields(value, path, problems);
  if (!isObject(value) || !(Number(value["reserved"]) >= Number(value["maxInFlight"]))) return;
  const at = [...path, "reserved"];
  problems.add(at, "leaves nothing to other routes", "Write less than maxInFlight.");
};

const gatewayLimits = object<GatewayLimits>(
  {},
  {
    everywhere: limits,
    plans: record(/^[\w-]{1,64}$/, "1-64 letters, digits, _ and -", limits),
    failedAuthentications: object<NonNullable<ServerLimits["failedAuthentications"]>>(
      { limit: manyRequests, per: windowLength },
      {},
    ),
    load,
    shown: yesOrNo,
  },
);

const placedStage = leaf(
  `what stage(name, after, …) makes; after is one of ${stageOrder.join(", ")}`,
  (value) => isObject(value) && typeof value["stage"] === "function",
);

/** A whole configuration but for its routes, which are of several kinds. */
export const gatewayShape: Shape = object<GatewayConfig>(
  { upstreams: record(namePattern, nameExpected, upstream) },
  {
    routes: list(yes, "a list of routes"),
    policies: record(namePattern, nameExpected, policy),
    caches: record(namePattern, nameExpected, cache),
    defaults: policy,
    issuers: list(issuer, "a list of issuers"),
    cors,
    limits: gatewayLimits,
    apiKeys: yesOrNo,
    shown: yesOrNo,
    api: object<NonNullable<GatewayConfig["api"]>>(
      { title: text("a title"), version: text("a version such as 1.0.0") },
      { description: text("a description") },
    ),
    stages: list(placedStage, "a list of stages"),
  },
);

function grpcName(kind: "service" | "method", expected: string): Shape {
  return leaf(expected, (value) => typeof value === "string" && isGrpcName(kind, value));
}

/** Takes whatever it is. */
function yes(): void {}

function origin(): Shape {
  return leaf("an origin, scheme://host[:port] in lower case", (value) => {
    if (value === "null") return true;
    return typeof value === "string" && URL.canParse(value) && new URL(value).origin === value;
  });
}

function keyAddress(): Shape {
  return leaf("the https address of its keys (http on this machine)", (value) =>
    /^(?:https:\/\/.|http:\/\/(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?\/)/.test(
      String(value),
    ),
  );
}

function millisecondsOf(value: unknown): number {
  try {
    return durationMs(value as Duration);
  } catch {
    return Number.NaN;
  }
}
