import type { FastifyRequest } from "fastify";

import type {
  Answer,
  Durable,
  IdempotencyKey,
  Transaction,
  WriteOutcome,
  WriteRequest,
} from "../../durable/index.ts";
import { ApiForgeError } from "../../kernel/index.ts";
import type { Principal } from "../auth/principal.ts";
import type { CursorCodec } from "../cursor.ts";
import { edgeError } from "../errors.ts";
import type { RequestInfo } from "../exchange.ts";
import { createList, type List } from "../list.ts";
import type { AnyHandlerContext, Reply, Route } from "../route.ts";
import { refusalAnswer } from "./fail.ts";
import type { ValidRequest } from "./validate.ts";

/** What the edge needs of the durable core. */
export type DurableBackend = Pick<Durable, "execute" | "read">;

/** The answer of the backend and how it came about. */
export interface BackendAnswer {
  readonly answer: Answer;
  readonly seq: number | undefined;
  readonly isReplay: boolean;
}

/** Tenant of requests that carry no token: what they write belongs to nobody in particular. */
export const publicTenant = "public";

type ShapeReply = (reply: Reply) => Answer;
const retryAfterSeconds = 1;

/** The stage that runs the handler: writing routes in one transaction, reading ones on a snapshot. */
export function backend(
  route: Route,
  durable: DurableBackend,
  shape: ShapeReply,
  cursors: CursorCodec,
) {
  const label = `${route.method} ${route.path}`;

  async function read(request: FastifyRequest, valid: ValidRequest): Promise<BackendAnswer> {
    const context = new Context(request, valid, route, cursors);
    const answer = await durable.read(
      label,
      async (reader) => {
        // A reading route's handler is typed with a Reader; the common signature says Transaction.
        context.tx = reader as Transaction;
        const reply = await route.handler(context);
        if (ApiForgeError.is(reply)) throw reply;
        return shape(reply);
      },
      context.principal?.tenant ?? publicTenant,
    );
    return { answer, seq: undefined, isReplay: false };
  }

  async function write(
    request: FastifyRequest,
    valid: ValidRequest,
    key: IdempotencyKey | undefined,
  ): Promise<BackendAnswer> {
    const context = new Context(request, valid, route, cursors);
    return settled(await durable.execute(new Write(label, route, shape, request, context, key)));
  }

  return { read, write };
}

function settled(outcome: WriteOutcome): BackendAnswer {
  switch (outcome.outcome) {
    case "in_flight":
      throw edgeError(
        "idempotency_in_progress",
        "A request with this idempotency key is still running; try again shortly",
        { retryAfterSeconds },
      );
    case "mismatch":
      throw edgeError(
        "idempotency_key_reused",
        "This idempotency key was used for a different request; choose a new one",
      );
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
  readonly body: unknown;
  readonly principal: Principal | undefined;
  readonly request: RequestInfo;
  tx!: Transaction;
  readonly #source: FastifyRequest;
  readonly #route: Route;
  readonly #cursors: CursorCodec;

  constructor(request: FastifyRequest, valid: ValidRequest, route: Route, cursors: CursorCodec) {
    this.params = valid.params;
    this.query = valid.query;
    this.headers = valid.headers;
    this.body = valid.body;
    this.principal = request.exchange.principal;
    this.request = request.exchange;
    this.#source = request;
    this.#route = route;
    this.#cursors = cursors;
  }

  get list(): List {
    const { params, query } = this.#source;
    return createList(
      this.#cursors,
      this.principal?.tenant ?? publicTenant,
      this.#route.path,
      params,
      query,
    );
  }
}

/** One writing request as the durable room takes it. */
class Write implements WriteRequest {
  readonly label: string;
  readonly tenant: string;
  readonly requestId: string;
  readonly idempotency: IdempotencyKey | undefined;
  readonly #route: Route;
  readonly #shape: ShapeReply;
  readonly #request: FastifyRequest;
  readonly #context: Context;

  constructor(
    label: string,
    route: Route,
    shape: ShapeReply,
    request: FastifyRequest,
    context: Context,
    key: IdempotencyKey | undefined,
  ) {
    this.label = label;
    this.tenant = context.principal?.tenant ?? publicTenant;
    this.requestId = request.id;
    this.idempotency = key;
    this.#route = route;
    this.#shape = shape;
    this.#request = request;
    this.#context = context;
  }

  async run(tx: Transaction): Promise<Answer> {
    this.#context.tx = tx;
    const reply = await this.#route.handler(this.#context);
    if (!ApiForgeError.is(reply)) return this.#shape(reply);
    const refusal = this.refuse(reply);
    // One that another attempt may not meet (5xx, 429) must leave nothing behind.
    if (refusal === undefined) throw reply;
    return refusal;
  }

  refuse(error: unknown): Answer | undefined {
    return refusalAnswer(error, this.requestId, this.#request.headers.accept);
  }
}
