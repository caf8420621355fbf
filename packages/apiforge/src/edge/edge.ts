import { AnswerQueue } from "./answer-queue.ts";
import { createAllowedMethods } from "./allowed-methods.ts";
import { createAuthorisers } from "./auth/authorisers.ts";
import { BodyDeadline, type BodyLimits } from "./body-deadline.ts";
import { BatchBody } from "./body/batch-body.ts";
import { createCursorCodec } from "./cursor.ts";
import { AccessLines } from "./evidence/access-lines.ts";
import { accessLog } from "./evidence/access-log.ts";
import { mountMetrics } from "./evidence/metrics/mount-metrics.ts";
import { processMetrics } from "./evidence/metrics/process-metrics.ts";
import { RequestMetrics } from "./evidence/metrics/request-metrics.ts";
import { renewTls, tlsOptions } from "./tls.ts";
import { capConnections } from "./guard/connection-cap.ts";
import { mountHealth } from "./health.ts";
import { Http2Front } from "./http2/http2-front.ts";
import { LimitJournal } from "./limits/journal.ts";
import { LeaseDesk } from "./limits/lease-desk.ts";
import { elapsedBy, LimitBook } from "./limits/limit-book.ts";
import { limitsRoute } from "./limits/limits-route.ts";
import type { RelayBackend } from "./relay.ts";
import { Pipeline, type Services } from "./pipeline.ts";
import { takesRawBody, type Route } from "./route.ts";
import { Upgrades } from "./upgrades.ts";
import { UsageBook } from "./versions/usage-book.ts";
import { versionChoice } from "./versions/version-choice.ts";
import type { Edge, EdgeOptions } from "./edge-options.ts";
import { createHttpServer, keepAliveTimeoutMs, timeoutCheckIntervalMs } from "./http-server.ts";
import { mountDocuments } from "./openapi/mount-documents.ts";

const closeDeadlineMs = 10_000;
const requestTimeoutMs = 30_000;
/** A body that is taken in as it arrives may be large, and its client's line slow. */
const streamedRequestTimeoutMs = 300_000;
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
  const backends = relayBackends(options.routes);
  let isOpen = false;
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
  const takesWebSockets = options.routes.some(({ relay }) => relay?.takesWebSockets === true);
  const upgrades = takesWebSockets ? new Upgrades() : undefined;
  const pipeline = new Pipeline(services, options.stages ?? []);
  const server = createHttpServer({
    pipeline,
    requestTimeoutMs: takesStreams ? streamedRequestTimeoutMs : requestTimeoutMs,
    versions,
    takesWebSockets,
    tls: options.tls && tlsOptions(options.tls, options.certificates?.ca),
  });
  upgrades?.mount(server.server, (request, response) => server.routing(request, response));
  const http2 = options.tls === undefined ? undefined : new Http2Front(clock, keepAliveTimeoutMs);
  http2?.mount(server.server, (request, response) => server.routing(request, response));
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
    const timer = clock.after(closeDeadlineMs, () => {
      server.server.closeAllConnections();
      upgrades?.destroyAll();
      http2?.destroyAll();
    });
    try {
      http2?.close();
      await server.close();
      if (isOpen) await Promise.all([...backends].map((backend) => backend.close()));
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
      if (!isOpen) for (const backend of backends) backend.open();
      isOpen = true;
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

/** Each once, however many routes lead to it. */
function relayBackends(routes: readonly Route[]): ReadonlySet<RelayBackend> {
  return new Set(routes.flatMap(({ relay }) => relay?.backend ?? []));
}

function openJournal(
  { clock, log: logger }: EdgeOptions,
  kept: NonNullable<EdgeOptions["limitMemory"]>,
): LimitJournal {
  return new LimitJournal({ ...kept, clock, elapsed: elapsedBy(clock), logger });
}

function usageBook({ usageStore, routes, clock, log }: EdgeOptions): UsageBook | undefined {
  const isNeeded = routes.some(({ deprecated }) => deprecated !== undefined);
  if (usageStore === undefined || !isNeeded) return undefined;
  return new UsageBook(usageStore, clock, log);
}
