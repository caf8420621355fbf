import type { FastifyInstance } from "fastify";

import { createAllowedMethods } from "./allowed-methods.ts";
import { createAuthorisers, type Authorisers } from "./auth/authorisers.ts";
import { BatchBody } from "./body/batch-body.ts";
import type { EdgeOptions } from "./edge-options.ts";
import { requestTimeoutMs, usageBook, type EdgeParts } from "./edge-parts.ts";
import { accessLog } from "./evidence/access-log.ts";
import { systemStopwatch } from "./evidence/observe.ts";
import { mountMetrics } from "./evidence/metrics/mount-metrics.ts";
import { withFields } from "./exchange.ts";
import { mountHealth } from "./health.ts";
import { createHttpServer } from "./http-server.ts";
import { LimitBook } from "./limits/limit-book.ts";
import { limitsRoute } from "./limits/limits-route.ts";
import { mountDocuments } from "./openapi/mount-documents.ts";
import { Pipeline, type Services } from "./pipeline.ts";
import { takesRawBody } from "./route.ts";
import { tlsOptions } from "./tls.ts";
import { versionChoice } from "./versions/version-choice.ts";

/** A body that is taken in as it arrives may be large, and its client's line slow. */
const streamedRequestTimeoutMs = 300_000;

/** One state of a server's routes, with their stages, ready to be given requests. */
export interface Serving {
  readonly options: EdgeOptions;
  /** The first one's listens; of the others only its routing is used. */
  readonly server: FastifyInstance;
  readonly limits: LimitBook;
  readonly authorisers: Authorisers;
  readonly requestTimeoutMs: number;
  readonly takesWebSockets: boolean;
}

/**
 * Makes the stages of `given`'s routes; nobody is served by them yet.
 * @param before what they take the place of: what that has counted and remembers goes on.
 * @throws for two routes of one method and path, or a schema that cannot be compiled.
 */
export function prepareServing(given: EdgeOptions, parts: EdgeParts, before?: Serving): Serving {
  const { clock, routes: own, revision } = given;
  const { closing, keepers, upgrades } = parts;
  const log = revision === undefined ? given.log : withFields(given.log, { revision });
  const limits = new LimitBook(clock, given.limits ?? {}, keepers, before?.limits);
  const shown = given.limits?.shown === true ? [limitsRoute(() => limits, own)] : [];
  const options = { ...given, log, routes: [...own, ...shown] };
  const versions = versionChoice(options.versions, options.routes);
  const usage = usageBook(options, parts);
  const authorisers =
    before?.options.verifier === options.verifier
      ? before.authorisers
      : createAuthorisers(options.verifier, options.keys, clock, options.authoriser ?? {});
  const services: Services = {
    durable: options.durable,
    authorisers,
    certificates: options.certificates,
    cursors: parts.cursors,
    log,
    isClosing: () => closing.signal.aborted,
    closing: closing.signal,
    clock,
    bodyDeadline: parts.bodyDeadline,
    answers: parts.answers,
    routes: options.routes,
    cors: options.cors,
    limits,
    load: options.limits?.load,
    versions,
    usage,
    allowedMethods: createAllowedMethods([
      ...options.routes,
      ...ownPaths(options).map((path) => ({ method: "GET", path }) as const),
    ]),
    observers: [
      ...(parts.requests === undefined ? [] : [parts.requests.observerOf]),
      ...(options.accessLog === undefined
        ? []
        : [accessLog(given.log, parts.lines, options.accessLog, revision)]),
    ],
    stopwatch: options.stopwatch ?? systemStopwatch,
    serverTiming: options.serverTiming ?? false,
    errorHooks: { onError: options.onError, reporter: options.reporter },
  };
  const takesStreams = options.routes.some(
    (route) => route.body instanceof BatchBody || takesRawBody(route),
  );
  const timeoutMs = takesStreams ? streamedRequestTimeoutMs : requestTimeoutMs;
  const pipeline = new Pipeline(services, options.stages ?? []);
  const server = createHttpServer({
    pipeline,
    routeCount: options.routes.length,
    requestTimeoutMs: timeoutMs,
    versions,
    takesUpgrade: upgrades.isTaken,
    tls: options.tls && tlsOptions(options.tls, options.certificates?.ca),
  });
  pipeline.mount(server);
  mountHealth(server, options.ready, services.isClosing, clock, log);
  mountDocuments(server, options, versions);
  if (parts.requests !== undefined && parts.ofProcess !== undefined) {
    const { sources = [], ...access } = options.metrics ?? {};
    const ofUsage = usage === undefined ? [] : [usage.metrics];
    mountMetrics(server, [parts.requests.read, parts.ofProcess, ...ofUsage, ...sources], access);
  }
  for (const route of options.routes) pipeline.mountRoute(server, route);
  return {
    options,
    server,
    limits,
    authorisers,
    requestTimeoutMs: timeoutMs,
    takesWebSockets: options.routes.some(({ relay }) => relay?.takesWebSockets === true),
  };
}

function ownPaths({ jwks, metrics }: EdgeOptions): readonly string[] {
  return [
    "/health/live",
    "/health/ready",
    "/openapi.json",
    "/docs",
    ...(jwks === undefined ? [] : ["/.well-known/jwks.json"]),
    ...(metrics === undefined ? [] : ["/metrics"]),
  ];
}
