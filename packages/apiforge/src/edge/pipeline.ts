import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from "fastify";

import type { Answer } from "../durable/index.ts";
import type { Clock, Log } from "../kernel/index.ts";
import type { BodyDeadline } from "./body-deadline.ts";
import { BatchBody } from "./body/batch-body.ts";
import type { AllowedMethods } from "./allowed-methods.ts";
import type { PrincipalCache } from "./auth/principal-cache.ts";
import type { TokenVerifier } from "./auth/token-verifier.ts";
import type { CursorCodec } from "./cursor.ts";
import type { Route } from "./route.ts";
import { authenticate } from "./stages/authenticate.ts";
import { backend, type BackendAnswer, type DurableBackend } from "./stages/backend.ts";
import { correlate } from "./stages/correlate.ts";
import { fail } from "./stages/fail.ts";
import { idempotency } from "./stages/idempotency.ts";
import { refuseEncodedBody } from "./stages/refuse-encoded-body.ts";
import { route as refuseUnrouted } from "./stages/route.ts";
import { shape } from "./stages/shape.ts";
import { validate } from "./stages/validate.ts";
import { streamBody } from "./stream-body.ts";

/** What the stages work with. */
export interface Services {
  readonly durable: DurableBackend;
  readonly verifier: TokenVerifier;
  readonly principals: PrincipalCache;
  readonly cursors: CursorCodec;
  readonly log: Log;
  /** True once the server is going down. */
  readonly isClosing: () => boolean;
  /** Aborts then. */
  readonly closing: AbortSignal;
  readonly clock: Clock;
  /** Undefined where the server's own limit holds for every route. */
  readonly bodyDeadline: BodyDeadline | undefined;
}

/**
 * The order of the stages is the architecture. Before the body is read:
 *
 *   guard          raw framing, Host and target checks; it will be the first hook here
 *   correlate
 *   route
 *   cors           preflight; it will stand between route and authenticate
 *   authenticate   (per route, see `mountRoute`)
 *   admit          limits and quotas; it will stand after authenticate
 *
 * With the body read: validate, idempotency, backend, shape. Whatever a stage throws: fail.
 */
export function mountPipeline(
  server: FastifyInstance,
  services: Services,
  allowedMethods: AllowedMethods,
): void {
  server.addHook("onRequest", correlate(services.log, services.closing));
  server.addHook("onRequest", refuseUnrouted(allowedMethods));
  server.setErrorHandler(fail(services.log, services.isClosing));
}

/** Adds one declared route with its stages. */
export function mountRoute(server: FastifyInstance, route: Route, services: Services): void {
  const parser = bodyParser(route);
  if (parser === undefined) return addRoute(server, route, services);
  // Parsers belong to a context.
  server.register(async (context) => {
    context.removeAllContentTypeParsers();
    parser(context);
    addRoute(context, route, services);
  });
}

/** What parses the bodies of a route that takes more than JSON. */
function bodyParser({ body }: Route): ((context: FastifyInstance) => void) | undefined {
  if (body === "bytes") {
    return (context) =>
      context.addContentTypeParser("*", { parseAs: "buffer" }, (_request, bytes, done) =>
        done(null, bytes),
      );
  }
  if (!(body instanceof BatchBody)) return undefined;
  return (context) =>
    context.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
}

function addRoute(server: FastifyInstance, route: Route, services: Services): void {
  const onRequest = [];
  if (route.auth === "jwt")
    onRequest.push(authenticate(route, services.verifier, services.principals));
  if (route.method !== "GET") {
    onRequest.push(refuseEncodedBody);
    const { bodyDeadline } = services;
    if (bodyDeadline !== undefined && !(route.body instanceof BatchBody))
      onRequest.push(limitBody(bodyDeadline));
  }
  server.route({
    method: route.method,
    url: route.path,
    bodyLimit: route.maxBodyBytes,
    onRequest,
    handler: createHandler(route, services),
  });
}

function limitBody(deadline: BodyDeadline): onRequestHookHandler {
  return function limitRequestBody(request, _reply, done) {
    deadline.begin(request.raw);
    done();
  };
}

function createHandler(route: Route, services: Services) {
  const validateRequest = validate(route);
  const readKey = idempotency(route);
  const run = backend(route, services, shape(route));
  const isRead = route.transaction === "read";
  const isPublic = route.auth === "none";

  return async function handle(request: FastifyRequest, reply: FastifyReply) {
    services.bodyDeadline?.end(request.raw);
    const valid = validateRequest(request);
    const outcome = isRead
      ? await run.read(request, valid)
      : await run.write(request, valid, readKey(request, request.exchange.principal));
    setHeaders(reply, outcome, isPublic);
    if (services.isClosing()) reply.header("connection", "close");
    if (outcome.stream === undefined) return bodyOf(outcome.answer);
    const { clock } = services;
    // Its head has left before anybody knew that the server would stop meanwhile.
    reply.raw.once("finish", () => {
      if (services.isClosing()) request.raw.socket.end();
    });
    return streamBody(outcome.stream.values, {
      ...outcome.stream.kind,
      clock,
      log: request.exchange.log,
    });
  };
}

function setHeaders(reply: FastifyReply, outcome: BackendAnswer, isPublic: boolean): void {
  const { answer, seq, isReplay } = outcome;
  reply.code(answer.status);
  // What a principal may see is not for caches in between, unless the handler says otherwise.
  if (!isPublic) reply.header("cache-control", "no-store");
  for (const name in answer.headers) reply.header(name, answer.headers[name]);
  if (seq !== undefined) reply.header("x-forge-seq", String(seq));
  if (isReplay) reply.header("idempotent-replayed", "true");
}

function bodyOf(answer: Answer): string | undefined {
  return answer.body === "" ? undefined : answer.body;
}
