import type { TlsOptions } from "node:tls";
import Fastify, {
  type FastifyInstance,
  type FastifyRequest,
  type InjectOptions,
  type LightMyRequestResponse,
} from "fastify";

import type { IncomingMessage } from "node:http";

import type { Clock, Log } from "../kernel/index.ts";
import type { LimitLog, LimitMemory } from "../store/index.ts";
import { AnswerQueue } from "./answer-queue.ts";
import { createAllowedMethods, maxParamLength } from "./allowed-methods.ts";
import { createAuthorisers, type AuthoriserOptions } from "./auth/authorisers.ts";
import type { KeyVerifier } from "./auth/key-verifier.ts";
import type { TokenVerifier } from "./auth/token-verifier.ts";
import { BodyDeadline, type BodyLimits } from "./body-deadline.ts";
import type { CorsOptions } from "./cors/policy.ts";
import { BatchBody } from "./body/batch-body.ts";
import { parseJsonBody } from "./body/json-body.ts";
import { answerClientError, answerExpectation } from "./client-error.ts";
import { createCursorCodec } from "./cursor.ts";
import { AccessLines } from "./evidence/access-lines.ts";
import { accessLog, type AccessLogOptions } from "./evidence/access-log.ts";
import type { ErrorReporter, OnError } from "./evidence/error-hooks.ts";
import { mountMetrics, type MetricsOptions } from "./evidence/metrics/mount-metrics.ts";
import { processMetrics } from "./evidence/metrics/process-metrics.ts";
import { RequestMetrics } from "./evidence/metrics/request-metrics.ts";
import type { Stopwatch } from "./evidence/observe.ts";
import type { ClientCertificates } from "./certificates/client-certificates.ts";
import { renewTls, tlsOptions, type TlsMaterial } from "./tls.ts";
import { capConnections } from "./guard/connection-cap.ts";
import { mountHealth, type ReadyCheck } from "./health.ts";
import { LimitJournal } from "./limits/journal.ts";
import { LeaseDesk, type LeaseSource } from "./limits/lease-desk.ts";
import { elapsedBy, LimitBook, type ServerLimits } from "./limits/limit-book.ts";
import { limitsRoute } from "./limits/limits-route.ts";
import { openApiDocuments } from "./openapi/documents.ts";
import type { ApiDescription } from "./openapi/openapi.ts";
import { mountReference } from "./reference/mount-reference.ts";
import { Pipeline, type Services } from "./pipeline.ts";
import { takesRawBody, type Route } from "./route.ts";
import type { PlacedStage } from "./stage.ts";
import { UsageBook, type UsageStore } from "./versions/usage-book.ts";
import {
  versionChoice,
  versionConstraint,
  type VersionChoice,
  type VersionOptions,
} from "./versions/version-choice.ts";
import type { DurableBackend } from "./stages/backend.ts";
import { requestId } from "./stages/correlate.ts";
import { routedUrl } from "./stages/guard.ts";

/** Options of {@link createEdge}. */
export interface EdgeOptions {
  readonly routes: readonly Route[];
  readonly durable: DurableBackend;
  /** Tells who a bearer token speaks for. */
  readonly verifier: TokenVerifier;
  /** Tells who an API key speaks for; default there are none. */
  readonly keys?: KeyVerifier;
  /** How verified callers are remembered. */
  readonly authoriser?: AuthoriserOptions;
  readonly log: Log;
  readonly clock: Clock;
  /** At least 32 secret bytes, the same on every node: signs list cursors. */
  readonly cursorKey: Uint8Array;
  /** Resolves when requests can be served, for `/health/ready`. */
  readonly ready: ReadyCheck;
  /** Public keys to serve at `/.well-known/jwks.json`; default none. */
  readonly jwks?: () => object | Promise<object>;
  /** Serves over TLS; default not. */
  readonly tls?: TlsMaterial;
  /** Asks callers for client certificates, for routes that need one; default not. */
  readonly certificates?: ClientCertificates;
  /** Stages of the application; see `stage`. */
  readonly stages?: readonly PlacedStage[];
  /** One line in the log for each answer; default none. */
  readonly accessLog?: AccessLogOptions;
  /** Counts requests and serves `GET /metrics`; default neither. */
  readonly metrics?: MetricsOptions;
  /** `Server-Timing` on the answers to known callers; default false. */
  readonly serverTiming?: boolean;
  /** Changes what callers are told of errors; see {@link OnError}. */
  readonly onError?: OnError;
  /** Told of errors that nobody made on purpose; default nobody. */
  readonly reporter?: ErrorReporter;
  /** What durations are measured by; default `performance.now`. */
  readonly stopwatch?: Stopwatch;
  /** Pages of other origins that may call routes without a word of their own; default none. */
  readonly cors?: CorsOptions;
  /** Connections that one address may have open at a time; default 10,000: behind a proxy all come from its address. Lower it where clients connect themselves. */
  readonly maxConnectionsPerAddress?: number;
  /** Limits of the whole server; those of a route stand on the route. */
  readonly limits?: ServerLimits;
  /** Where callers of deprecated routes are counted, in `forge_deprecated_usage`; default nowhere. */
  readonly usageStore?: UsageStore;
  /** How callers say which version of a route they want; default routes have none. */
  readonly versions?: VersionOptions;
  /** Where what limits have counted outlives this process; default nowhere. */
  readonly limitMemory?: { readonly log: LimitLog; readonly memory: LimitMemory };
  /** Gives out quotas, and without a `limitMemory` limits, to all nodes in blocks; default nothing does, so quotas are refused. */
  readonly leases?: LeaseSource;
  /** Head of `/openapi.json`; default title `API`. */
  readonly api?: ApiDescription;
}

/** A server over a table of routes. */
export interface Edge {
  /** Starts to accept connections. Port 0 picks a free one. */
  listen(options: {
    readonly port: number;
    readonly host: string;
  }): Promise<{ readonly url: string }>;
  /** Sends one request without a socket, for tests. */
  inject(options: InjectOptions): Promise<LightMyRequestResponse>;
  /**
   * Serves connections from now on with this key and certificate, and the authorities that
   * {@link EdgeOptions.certificates} has now.
   * @throws {TypeError} for a server without TLS, and Node's error for material that does not fit together.
   */
  renewTls(material: TlsMaterial): void;
  /**
   * Stops accepting, lets requests in flight finish for up to 10 s, closes what is left.
   * Resolves when no connection is open; calling it again waits for the same end.
   */
  close(): Promise<void>;
}

const closeDeadlineMs = 10_000;
// Longer than the 60 s of common load balancers, so that they never reuse a connection we are closing.
const keepAliveTimeoutMs = 72_000;
const requestTimeoutMs = 30_000;
/** A body that is taken in as it arrives may be large, and its client's line slow. */
const streamedRequestTimeoutMs = 300_000;
const headersTimeoutMs = 10_000;
const timeoutCheckIntervalMs = 5_000;
const bodyLimits: BodyLimits = {
  totalMs: requestTimeoutMs,
  idleMs: 15_000,
  // Below a modem's; a body that needs less has arrived whole by the first look.
  minBytesPerSecond: 100,
  checkMs: timeoutCheckIntervalMs,
};
const defaultMaxConnectionsPerAddress = 10_000;

/**
 * Builds the HTTP edge. Every answer carries `X-Request-Id`; every failure is the one error
 * envelope.
 * @throws for two routes of one method and path, or a schema that cannot be compiled.
 */
export function createEdge(given: EdgeOptions): Edge {
  const { log, clock } = given;
  const shown = given.limits?.shown === true ? [limitsRoute(() => limits, given.routes)] : [];
  const options = { ...given, routes: [...given.routes, ...shown] };
  const closing = new AbortController();
  let closed: Promise<void> | undefined;
  const takesStreams = options.routes.some(
    (route) => route.body instanceof BatchBody || takesRawBody(route),
  );
  const ownPaths = ["/health/live", "/health/ready", "/openapi.json", "/docs"];
  if (options.jwks !== undefined) ownPaths.push("/.well-known/jwks.json");
  if (options.metrics !== undefined) ownPaths.push("/metrics");
  const requests = options.metrics === undefined ? undefined : new RequestMetrics();
  const versions = versionChoice(options.versions, options.routes);
  const usage = usageBook(options);
  const limits = new LimitBook(clock, options.limits ?? {}, {
    journal: options.limitMemory && openJournal(options, options.limitMemory),
    desk: options.leases && new LeaseDesk(options.leases),
  });
  const sink = options.accessLog?.sink;
  const lines = sink && new AccessLines(sink, clock);
  const services: Services = {
    durable: options.durable,
    authorisers: createAuthorisers(options.verifier, options.keys, clock, options.authoriser ?? {}),
    certificates: options.certificates,
    cursors: createCursorCodec(options.cursorKey),
    log,
    isClosing: () => closing.signal.aborted,
    closing: closing.signal,
    clock,
    bodyDeadline: new BodyDeadline(clock, bodyLimits),
    answers: new AnswerQueue(),
    routes: options.routes,
    cors: options.cors,
    limits,
    load: options.limits?.load,
    versions,
    usage,
    allowedMethods: createAllowedMethods([
      ...options.routes,
      ...ownPaths.map((path) => ({ method: "GET", path }) as const),
    ]),
    observers: [
      ...(requests === undefined ? [] : [requests.observerOf]),
      ...(options.accessLog === undefined ? [] : [accessLog(log, lines, options.accessLog)]),
    ],
    stopwatch: options.stopwatch ?? (() => performance.now()),
    serverTiming: options.serverTiming ?? false,
    errorHooks: { onError: options.onError, reporter: options.reporter },
  };
  const pipeline = new Pipeline(services, options.stages ?? []);
  const server = createServer(
    pipeline,
    takesStreams ? streamedRequestTimeoutMs : requestTimeoutMs,
    versions,
    options.tls && tlsOptions(options.tls, options.certificates?.ca),
  );
  capConnections(
    server.server,
    options.maxConnectionsPerAddress ?? defaultMaxConnectionsPerAddress,
  );
  pipeline.mount(server);
  mountHealth(server, options.ready, services.isClosing, clock, log);
  mountDocuments(server, options, versions);
  if (requests !== undefined) {
    const { token, sources = [] } = options.metrics ?? {};
    const ofUsage = usage === undefined ? [] : [usage.metrics];
    const own = [requests.read, processMetrics(closing.signal), ...ofUsage];
    mountMetrics(server, [...own, ...sources], token);
  }
  for (const route of options.routes) pipeline.mountRoute(server, route);

  async function close(): Promise<void> {
    const timer = clock.after(closeDeadlineMs, () => server.server.closeAllConnections());
    try {
      await server.close();
      await limits.close();
      await usage?.flush();
      lines?.flush();
      await options.reporter?.flush?.();
    } finally {
      timer.cancel();
    }
  }

  return {
    async listen({ port, host }) {
      return { url: await server.listen({ port, host }) };
    },
    inject: (request) => server.inject(request),
    renewTls: (material) => renewTls(server.server, material, options.certificates?.ca),
    close() {
      closing.abort();
      closed ??= close();
      return closed;
    },
  };
}

function openJournal(
  { clock, log: logger }: EdgeOptions,
  kept: NonNullable<EdgeOptions["limitMemory"]>,
): LimitJournal {
  return new LimitJournal({ ...kept, clock, elapsed: elapsedBy(clock), logger });
}

function createServer(
  pipeline: Pipeline,
  requestTimeout: number,
  versions: VersionChoice | undefined,
  tls: TlsOptions | undefined,
): FastifyInstance {
  const http = {
    headersTimeout: headersTimeoutMs,
    requestTimeout,
    connectionsCheckingInterval: timeoutCheckIntervalMs,
    // Node would answer a missing Host without our envelope; the guard does it.
    requireHostHeader: false,
    // A request without a body then has no stream that has to be read to its end.
    optimizeEmptyRequests: true,
  };
  const server = Fastify({
    logger: false,
    genReqId: requestId,
    requestIdHeader: false,
    // While closing, requests on open connections are still served, with Connection: close.
    return503OnClosing: false,
    keepAliveTimeout: keepAliveTimeoutMs,
    requestTimeout,
    routerOptions: {
      maxParamLength,
      ...(versions === undefined ? {} : { constraints: constraintsOf(versions) }),
    },
    rewriteUrl: routedUrl,
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => pipeline.fail(error, request, reply),
    ...(tls === undefined ? { http } : { https: { ...http, ...tls } }),
  });
  // Declared here so that all requests have one shape; the first stage sets it.
  server.decorateRequest("exchange");
  server.server.on("checkExpectation", answerExpectation);
  server.removeAllContentTypeParsers();
  // The first by name, which Fastify finds without matching a pattern.
  for (const type of ["application/json", /^application\/[\w.!#$&^-]+\+json(?:;|$)/]) {
    server.addContentTypeParser(type, { parseAs: "buffer" }, parseBody);
  }
  return server;
}

function usageBook({ usageStore, routes, clock, log }: EdgeOptions): UsageBook | undefined {
  const isNeeded = routes.some(({ deprecated }) => deprecated !== undefined);
  if (usageStore === undefined || !isNeeded) return undefined;
  return new UsageBook(usageStore, clock, log);
}

function constraintsOf(versions: VersionChoice) {
  return {
    [versionConstraint]: {
      name: versionConstraint,
      storage: () => new Map(),
      deriveConstraint: (request: IncomingMessage) => versions.asked(request).version,
    },
  };
}

function parseBody(
  _request: FastifyRequest,
  body: Buffer,
  done: (error: Error | null, body?: unknown) => void,
): void {
  done(null, parseJsonBody(body));
}

function mountDocuments(
  server: FastifyInstance,
  options: EdgeOptions,
  versions: VersionChoice | undefined,
): void {
  const { routes, api = { title: "API", version: "0.0.0" } } = options;
  const documentOf = openApiDocuments(routes, api, versions);
  server.get("/openapi.json", ({ query }) => documentOf(query));
  mountReference(server, documentOf);
  const { jwks } = options;
  if (jwks === undefined) return;
  server.get("/.well-known/jwks.json", (_request, reply) => {
    // Less than the hour and more that a key is published before it signs, and soon after one is distrusted.
    reply.header("cache-control", "public, max-age=300");
    return jwks();
  });
}
