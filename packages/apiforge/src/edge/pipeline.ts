import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { registeredTracer } from "../resilience/index.ts";
import type { Clock, Log } from "../kernel/index.ts";
import type { AllowedMethods } from "./allowed-methods.ts";
import type { AnswerQueue } from "./answer-queue.ts";
import type { Authorisers } from "./auth/authorisers.ts";
import type { ClientCertificates } from "./certificates/client-certificates.ts";
import type { BodyDeadline } from "./body-deadline.ts";
import type { CorsOptions } from "./cors/policy.ts";
import { BatchBody } from "./body/batch-body.ts";
import type { CursorCodec } from "./cursor.ts";
import type { ErrorHooks } from "./evidence/error-hooks.ts";
import { withServerTiming } from "./evidence/server-timing.ts";
import { observe, type ObserverOf, type Stopwatch } from "./evidence/observe.ts";
import { traceBackend, traceRequests } from "./evidence/tracing.ts";
import { Exchange } from "./exchange.ts";
import type { LimitBook } from "./limits/limit-book.ts";
import {
  enterAll,
  stagesOf,
  withPlaced,
  type RouteStages,
  type StageTable,
} from "./route-stages.ts";
import type { Responder } from "./relay.ts";
import { takesRawBody, type Route } from "./route.ts";
import { headOf, send, write } from "./send.ts";
import type { PlacedStage } from "./stage.ts";
import { admitEarly, admitLate } from "./stages/admit.ts";
import { authenticate } from "./stages/authenticate.ts";
import { authorize } from "./stages/authorize.ts";
import { backend, type DurableBackend } from "./stages/backend.ts";
import { bindToken, dropForeignCertificates, identifyCertificate } from "./stages/certificate.ts";
import { checkOrigin } from "./stages/check-origin.ts";
import { cors, policies, preflight } from "./stages/cors.ts";
import { chooseVersion } from "./stages/choose-version.ts";
import { conditional } from "./stages/conditional.ts";
import { correlate } from "./stages/correlate.ts";
import { failureAnswer } from "./stages/fail.ts";
import { guard } from "./stages/guard.ts";
import { idempotency } from "./stages/idempotency.ts";
import { limitBody } from "./stages/limit-body.ts";
import { limitInFlight } from "./stages/limit-in-flight.ts";
import { requirePrecondition } from "./stages/precondition.ts";
import { refuseEncodedBody } from "./stages/refuse-encoded-body.ts";
import { refuseUnrouted } from "./stages/route.ts";
import { shedLoad, type LoadLimit } from "./stages/shed-load.ts";
import { upstreamCall } from "./stages/upstream-call.ts";
import { validate } from "./stages/validate.ts";
import { version } from "./stages/version.ts";
import type { UsageBook } from "./versions/usage-book.ts";
import { versionConstraint, type VersionChoice } from "./versions/version-choice.ts";

/** What the stages work with. */
export interface Services {
  readonly durable: DurableBackend;
  readonly authorisers: Authorisers;
  /** Undefined where no client certificates are asked for. */
  readonly certificates: ClientCertificates | undefined;
  readonly cursors: CursorCodec;
  readonly log: Log;
  /** True once the server is going down. */
  readonly isClosing: () => boolean;
  /** Aborts then. */
  readonly closing: AbortSignal;
  readonly clock: Clock;
  readonly bodyDeadline: BodyDeadline;
  readonly allowedMethods: AllowedMethods;
  readonly answers: AnswerQueue;
  readonly observers: readonly ObserverOf[];
  readonly stopwatch: Stopwatch;
  /** Answers to known callers say how long each place took. */
  readonly serverTiming: boolean;
  readonly errorHooks: ErrorHooks;
  readonly routes: readonly Route[];
  /** For routes without a word of their own, and for what no route answers. */
  readonly cors: CorsOptions | undefined;
  readonly limits: LimitBook;
  readonly load: LoadLimit | undefined;
  readonly versions: VersionChoice | undefined;
  /** Where callers of deprecated routes are counted. */
  readonly usage: UsageBook | undefined;
}

/** The order of the places is in `stage.ts`; a place without an entry waits for its stage. */
function builtInStages(services: Services): StageTable {
  const tracer = registeredTracer();
  const answering = backend(services);
  const policyOf = policies(services.cors);
  return {
    guard: [
      observe(services.observers, services.stopwatch),
      guard,
      dropForeignCertificates(services.certificates),
    ],
    correlate: tracer === undefined ? [correlate] : [correlate, traceRequests(tracer)],
    route: [
      preflight(services.routes, policyOf),
      chooseVersion(services.versions),
      refuseUnrouted(services.allowedMethods),
    ],
    version: [version(services.clock, services.usage), conditional(services.errorHooks)],
    cors: [cors(policyOf), checkOrigin(policyOf)],
    authenticate: [
      shedLoad(services.load),
      admitEarly(services.limits),
      identifyCertificate(services.certificates),
      authenticate(services.authorisers),
      bindToken(services.certificates),
    ],
    authorize: [authorize],
    admit: [admitLate(services.limits), limitInFlight],
    receive: [requirePrecondition, refuseEncodedBody, limitBody(services.bodyDeadline)],
    validate: [validate],
    idempotency: [idempotency],
    backend: [
      upstreamCall(services.durable),
      tracer === undefined ? answering : traceBackend(tracer, answering),
    ],
  };
}

/** Takes the requests of one server through its stages. */
export class Pipeline {
  readonly #services: Services;
  readonly #table: StageTable;
  readonly #unrouted: RouteStages;
  readonly #responder: Responder = {
    answer: (exchange, outgoing) => {
      const stages = exchange.request.routeOptions.config.stages ?? this.#unrouted;
      try {
        send(exchange, stages, outgoing, this.#services);
      } catch (error) {
        exchange.reply.send(error);
      }
    },
    refuse: (exchange, error) => void exchange.reply.send(error),
  };

  /** @throws {TypeError} for two stages of one name. */
  constructor(services: Services, added: readonly PlacedStage[]) {
    this.#services = services;
    const table = withPlaced(builtInStages(services), added);
    this.#table = services.serverTiming ? withServerTiming(table, services.stopwatch) : table;
    this.#unrouted = stagesOf(this.#table, undefined);
  }

  /** Adds the hooks that all requests pass, declared routes' or not. */
  mount(server: FastifyInstance): void {
    server.addHook("onRequest", (request, reply, done) => {
      const stages = request.routeOptions.config.stages ?? this.#unrouted;
      const exchange = this.#begin(stages, request, reply);
      this.#enter(stages, stages.early, exchange, () => {
        // What no declared route answers, the server's own paths do.
        if (stages.route === undefined) headOf(exchange);
        done();
      });
    });
    server.setErrorHandler((error, request, reply) => this.fail(error, request, reply));
  }

  /** Adds one declared route. */
  mountRoute(server: FastifyInstance, route: Route): void {
    const parser = bodyParser(route);
    if (parser === undefined) return this.#addRoute(server, route);
    // Parsers belong to a context.
    server.register(async (context) => {
      context.removeAllContentTypeParsers();
      parser(context);
      this.#addRoute(context, route);
    });
  }

  /** Answers whatever was thrown with the one error envelope. */
  fail(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const stages = request.routeOptions.config?.stages ?? this.#unrouted;
    // Errors of the router itself come here without having passed a stage.
    const exchange = request.exchange ?? this.#begin(stages, request, reply);
    // Where Fastify has not read the whole body.
    if (reply.hasHeader("connection")) exchange.putHeader("connection", "close");
    const answer = failureAnswer(error, exchange, this.#services.errorHooks);
    try {
      send(exchange, stages, answer, this.#services);
    } catch (leaveError) {
      exchange.log.error({ err: leaveError }, "a stage failed on the way out of an error");
      write(exchange, answer, this.#services);
    }
  }

  #begin(stages: RouteStages, request: FastifyRequest, reply: FastifyReply): Exchange {
    const { log, closing } = this.#services;
    request.exchange = new Exchange(stages.route, request, reply, log, closing, stages.lines);
    return request.exchange;
  }

  #addRoute(server: FastifyInstance, route: Route): void {
    const stages = stagesOf(this.#table, route);
    const { bodyDeadline } = this.#services;
    const { relay } = route;
    server.route({
      method: route.method,
      url: route.path,
      bodyLimit: route.maxBodyBytes,
      ...(route.version === undefined
        ? {}
        : { constraints: { [versionConstraint]: route.version } }),
      config: { stages },
      handler: (request) => {
        bodyDeadline.end(request.raw);
        this.#enter(stages, stages.late, request.exchange, () => {
          if (relay !== undefined) return relay.begin(request.exchange, this.#responder);
          throw new TypeError(`No stage answered ${route.method} ${route.path}`);
        });
      },
    });
  }

  /** Enters `steps`; sends the answer when one of them answered, else goes on with `next`. */
  #enter(
    stages: RouteStages,
    steps: RouteStages["early"],
    exchange: Exchange,
    next: () => void,
  ): void {
    try {
      const wait = enterAll(steps, exchange);
      // No closure where nothing has to wait.
      if (wait !== undefined) this.#enterLater(wait, stages, exchange, next);
      else if (exchange.answer === undefined) next();
      else send(exchange, stages, exchange.answer, this.#services);
    } catch (error) {
      exchange.reply.send(error);
    }
  }

  #enterLater(
    wait: Promise<void>,
    stages: RouteStages,
    exchange: Exchange,
    next: () => void,
  ): void {
    const goOn = (): void => {
      if (exchange.answer === undefined) next();
      else send(exchange, stages, exchange.answer, this.#services);
    };
    wait.then(goOn).catch((error: unknown) => void exchange.reply.send(error));
  }
}

/** What parses the bodies of a route that takes more than JSON. */
function bodyParser(route: Route): ((context: FastifyInstance) => void) | undefined {
  const { body } = route;
  if (body === "bytes") {
    return (context) =>
      context.addContentTypeParser("*", { parseAs: "buffer" }, (_request, bytes, done) =>
        done(null, bytes),
      );
  }
  if (!(body instanceof BatchBody) && !takesRawBody(route)) return undefined;
  return (context) =>
    context.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
}
