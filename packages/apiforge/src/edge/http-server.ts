import type { IncomingMessage } from "node:http";
import type { TlsOptions } from "node:tls";
import Fastify, { type FastifyInstance, type FastifyRequest } from "fastify";

import { maxParamLength } from "./allowed-methods.ts";
import { parseJsonBody } from "./body/json-body.ts";
import { answerClientError, answerExpectation } from "./client-error.ts";
import { edgeResponse } from "./edge-response.ts";
import type { Pipeline } from "./pipeline.ts";
import { versionConstraint, type VersionChoice } from "./versions/version-choice.ts";
import { requestId } from "./stages/correlate.ts";
import { routedUrl } from "./stages/guard.ts";

/** Longer than the 60 s of common load balancers, so that they never reuse a connection we are closing. */
export const keepAliveTimeoutMs = 72_000;
const headersTimeoutMs = 10_000;
/** How often time limits of requests are looked at. */
export const timeoutCheckIntervalMs = 5_000;

/**
 * A router that is compiled takes 0.5 us less for a request, and 0.15 ms and 50 KB more for a route: at the
 * start, and in one go with each change of the routes.
 */
const mostCompiledRoutes = 50;

/** What the server of an edge depends on. */
export interface HttpServerParts {
  readonly pipeline: Pipeline;
  /** Of declared ones. */
  readonly routeCount: number;
  /** Until a request has arrived whole. */
  readonly requestTimeoutMs: number;
  readonly versions: VersionChoice | undefined;
  /** Whether a request is to be handed over with its connection; others are answered as if they had not asked. */
  readonly takesUpgrade: (request: IncomingMessage) => boolean;
  readonly tls: TlsOptions | undefined;
}

/** Fastify, which is left to route, to read bodies and to write what the pipeline answers. */
export function createHttpServer(parts: HttpServerParts): FastifyInstance {
  const {
    pipeline,
    routeCount,
    requestTimeoutMs: requestTimeout,
    versions,
    takesUpgrade,
    tls,
  } = parts;
  const http = {
    headersTimeout: headersTimeoutMs,
    requestTimeout,
    connectionsCheckingInterval: timeoutCheckIntervalMs,
    // Node would answer a missing Host without our envelope; the guard does it.
    requireHostHeader: false,
    // A request without a body then has no stream that has to be read to its end.
    optimizeEmptyRequests: true,
    ServerResponse: edgeResponse(),
    shouldUpgradeCallback: takesUpgrade,
  };
  const server = Fastify({
    logger: false,
    genReqId: requestId,
    requestIdHeader: false,
    // Routes give Fastify no schema; its compilers (Ajv, fast-json-stringify) would be loaded all the same.
    schemaController: {
      compilersFactory: { buildValidator: refuseSchemas, buildSerializer: refuseSchemas },
    },
    // While closing, requests on open connections are still served, with Connection: close.
    return503OnClosing: false,
    keepAliveTimeout: keepAliveTimeoutMs,
    requestTimeout,
    routerOptions: {
      maxParamLength,
      compile: routeCount <= mostCompiledRoutes,
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

function refuseSchemas(): never {
  throw new TypeError("Schemas are compiled by the schema room, not by Fastify");
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
