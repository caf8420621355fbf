import type { FastifyRequest } from "fastify";

import type {
  Answer,
  Batches,
  Durable,
  IdempotencyKey,
  StagedBatch,
  Transaction,
  WriteOutcome,
  WriteRequest,
} from "../../durable/index.ts";
import { ApiForgeError } from "../../kernel/index.ts";
import { publicTenant, type Principal } from "../auth/principal.ts";
import { BatchBody } from "../body/batch-body.ts";
import type { CursorCodec } from "../cursor.ts";
import { edgeError } from "../errors.ts";
import type { ErrorHooks } from "../evidence/error-hooks.ts";
import type { Exchange, RequestInfo } from "../exchange.ts";
import { createList, type List } from "../list.ts";
import { keyInProgress, keyReused } from "../idempotency-refusals.ts";
import type { Outgoing } from "../outgoing.ts";
import type { AnyHandlerContext, Reply, Route } from "../route.ts";
import type { Stage } from "../stage.ts";
import { refusalAnswer } from "./fail.ts";
import { askPrecondition, type AskPrecondition } from "./precondition.ts";
import { shape, shapeStream, type ShapeReply } from "./shape.ts";
import { takeIn, type TakeIn } from "./take-in.ts";

/** What the edge needs of the durable core. */
export type DurableBackend = Pick<Durable, "execute" | "read" | "batches" | "upstreamCalls">;

/** What the backend works with. */
interface BackendServices {
  readonly errorHooks: ErrorHooks;
  readonly durable: DurableBackend;
  readonly cursors: CursorCodec;
}

const retryAfterSeconds = 1;

/** The stage that runs the handler: writing routes in one transaction, reading ones on a snapshot, others as they are. */
export function backend(services: BackendServices): Stage {
  return function backendOf(route) {
    if (route === undefined || route.relay !== undefined) return undefined;
    const runs = runners(route, services, shape(route));
    if (route.transaction === "none") return { enter: runs.plain };
    const run = route.transaction === "read" ? runs.read : runs.write;
    return {
      async enter(exchange) {
        exchange.answer = await run(exchange);
      },
    };
  };
}

function runners(route: Route, services: BackendServices, shapeReply: ShapeReply) {
  const { version } = route;
  const label = `${route.method} ${route.path}${version === undefined ? "" : ` ${version}`}`;
  const { durable } = services;
  const streamed = shapeStream(route);
  const ask = askPrecondition(
    route,
    (exchange, other, valid) => new Context(exchange, other, services, valid),
  );
  const take = route.body instanceof BatchBody ? takeIn(route.body, durable.batches) : undefined;

  function readAnswer(reply: Reply, { asked }: Exchange): Outgoing {
    const values = reply.stream;
    const head = values === undefined ? undefined : streamed(reply);
    if (values === undefined || head === undefined) {
      return { answer: shapeReply(reply, asked), seq: undefined, isReplay: false };
    }
    const stream = { values, kind: head.kind };
    return { answer: head.answer, seq: undefined, isReplay: false, stream };
  }

  async function read(exchange: Exchange): Promise<Outgoing> {
    const context = new Context(exchange, route, services);
    return durable.read(
      label,
      async (reader) => {
        // A reading route's handler is typed with a Reader; the common signature says Transaction.
        context.tx = reader as Transaction;
        return replyAnswer(await route.handler(context), exchange);
      },
      context.principal?.tenant ?? publicTenant,
    );
  }

  async function write(exchange: Exchange): Promise<Outgoing> {
    const context = new Context(exchange, route, services);
    const { errorHooks } = services;
    const write = new Write(label, route, shapeReply, exchange, context, errorHooks, ask);
    if (take === undefined) return settled(await durable.execute(write));
    const taking = new BatchWrite(write, take, exchange.request, context);
    try {
      const answer = settled(await durable.execute(taking));
      if (!answer.isReplay) taking.keep();
      return answer;
    } finally {
      await taking.discard(durable.batches);
    }
  }

  /** Without a turn of the event loop where the handler needs none. */
  function plain(exchange: Exchange): Promise<void> | undefined {
    const reply = route.handler(new Context(exchange, route, services));
    if (reply instanceof Promise) {
      return reply.then((late) => {
        exchange.answer = replyAnswer(late, exchange);
      });
    }
    exchange.answer = replyAnswer(reply, exchange);
    return undefined;
  }

  function replyAnswer(reply: Reply | ApiForgeError, exchange: Exchange): Outgoing {
    if (ApiForgeError.is(reply)) throw reply;
    return readAnswer(reply, exchange);
  }

  return { read, write, plain };
}

function settled(outcome: WriteOutcome): Outgoing {
  switch (outcome.outcome) {
    case "in_flight":
      throw keyInProgress();
    case "mismatch":
      throw keyReused();
    case "fresh":
    case "replayed":
      return { answer: outcome.answer, seq: outcome.seq, isReplay: outcome.outcome === "replayed" };
  }
}

/** What a handler sees of one request. */
class Context implements AnyHandlerContext {
  readonly params: unknown;
  readonly query: unknown;
  readonly headers: unknown;
  body: unknown;
  readonly principal: Principal | undefined;
  readonly request: RequestInfo;
  tx!: Transaction;
  readonly #source: FastifyRequest;
  readonly #route: Route;
  readonly #services: BackendServices;

  constructor(exchange: Exchange, route: Route, services: BackendServices, valid = exchange.valid) {
    this.params = valid?.params;
    this.query = valid?.query;
    this.headers = valid?.headers;
    this.body = valid?.body;
    this.principal = exchange.principal;
    this.request = exchange;
    this.#source = exchange.request;
    this.#route = route;
    this.#services = services;
  }

  get batches(): Batches {
    return this.#services.durable.batches;
  }

  get list(): List {
    const { params, query } = this.#source;
    return createList(
      this.#services.cursors,
      this.principal?.tenant ?? publicTenant,
      this.#route.version === undefined
        ? this.#route.path
        : `${this.#route.path} ${this.#route.version}`,
      params,
      query,
    );
  }
}

/** One writing request as the durable room takes it. */
class Write implements WriteRequest {
  readonly label: string;
  readonly tenant: string;
  readonly subject: string | undefined;
  readonly requestId: string;
  readonly idempotency: IdempotencyKey | undefined;
  readonly #route: Route;
  readonly #shape: ShapeReply;
  readonly #exchange: Exchange;
  readonly #hooks: ErrorHooks;
  readonly #context: Context;
  readonly #ask: AskPrecondition | undefined;
  #unmet: ApiForgeError | undefined = undefined;

  constructor(
    label: string,
    route: Route,
    shapeReply: ShapeReply,
    exchange: Exchange,
    context: Context,
    hooks: ErrorHooks,
    ask: AskPrecondition | undefined,
  ) {
    this.label = label;
    this.tenant = context.principal?.tenant ?? publicTenant;
    this.subject = context.principal?.subject;
    this.requestId = exchange.id;
    this.idempotency = exchange.idempotencyKey;
    this.#route = route;
    this.#shape = shapeReply;
    this.#exchange = exchange;
    this.#hooks = hooks;
    this.#context = context;
    this.#ask = ask;
  }

  async run(tx: Transaction): Promise<Answer> {
    this.#context.tx = tx;
    if (this.#ask !== undefined) {
      this.#unmet = await this.#ask(this.#exchange, tx);
      if (this.#unmet !== undefined) throw this.#unmet;
    }
    const reply = await this.#route.handler(this.#context);
    if (!ApiForgeError.is(reply)) return this.#shape(reply, this.#exchange.asked);
    const refusal = this.refuse(reply);
    // One that another attempt may not meet (5xx, 429) must leave nothing behind.
    if (refusal === undefined) throw reply;
    return refusal;
  }

  refuse(error: unknown): Answer | undefined {
    // Not recorded: nothing was done, and with the tag of what is there now the key is still good.
    if (error === this.#unmet) return undefined;
    return refusalAnswer(error, this.#exchange, this.#hooks);
  }
}

/** A {@link Write} whose body is taken in before its transaction. */
class BatchWrite implements WriteRequest {
  readonly label: string;
  readonly tenant: string;
  readonly subject: string | undefined;
  readonly requestId: string;
  idempotency: IdempotencyKey | undefined;
  readonly #write: Write;
  readonly #take: TakeIn;
  readonly #request: FastifyRequest;
  readonly #context: Context;
  #staged: StagedBatch | undefined;

  constructor(write: Write, take: TakeIn, request: FastifyRequest, context: Context) {
    this.label = write.label;
    this.tenant = write.tenant;
    this.subject = write.subject;
    this.requestId = write.requestId;
    this.idempotency = write.idempotency;
    this.#write = write;
    this.#take = take;
    this.#request = request;
    this.#context = context;
  }

  async prepare(isAnswered: boolean): Promise<void> {
    const key = this.idempotency;
    const options = { fingerprint: key?.fingerprint, stages: !isAnswered };
    const { staged, fingerprint } = await this.#take(this.#request, options);
    this.#staged = staged;
    this.#context.body = staged;
    if (key !== undefined) this.idempotency = { ...key, fingerprint };
  }

  async run(tx: Transaction): Promise<Answer> {
    if (this.#staged === undefined) {
      // The answer that there was has been swept since; its sender may try again.
      throw edgeError("idempotency_in_progress", "The request's record has just expired", {
        retryAfterSeconds,
      });
    }
    return this.#write.run(tx);
  }

  refuse(error: unknown): Answer | undefined {
    return this.#write.refuse(error);
  }

  /** The handler's commit has happened. */
  keep(): void {
    this.#staged = undefined;
  }

  /** Gives up what nothing has accepted. */
  async discard(batches: Batches): Promise<void> {
    if (this.#staged !== undefined) await batches.discard(this.#staged).catch(() => undefined);
  }
}
