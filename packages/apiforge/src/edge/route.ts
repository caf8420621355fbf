import type { Batches, Reader, StagedBatch, Transaction } from "../durable/index.ts";
import type { ApiForgeError } from "../kernel/index.ts";
import type { Schema, SchemaInput, SchemaOutput } from "../schema/index.ts";
import type { KeyMode, Principal } from "./auth/principal.ts";
import { BatchBody } from "./body/batch-body.ts";
import type { CorsOptions } from "./cors/policy.ts";
import type { RequestInfo } from "./exchange.ts";
import { limitPolicy, namesCaller, type LimitOptions, type LimitPolicy } from "./limits/policy.ts";
import type { List } from "./list.ts";
import type { Relay } from "./relay.ts";
import { httpFacts, type HttpFacts, type HttpOptions } from "./route-http.ts";
import { StreamReply } from "./stream-reply.ts";
import type { TextReply } from "./text-reply.ts";

/** Methods that change something. Their handlers run in one transaction. */
export const writingMethods = ["POST", "PUT", "PATCH", "DELETE"] as const;
export type WritingMethod = (typeof writingMethods)[number];

/** A GET answers HEAD as well. */
export type Method = "GET" | WritingMethod;

/**
 * `jwt`: a bearer token is required. `key`: an API key. `any`: one of both. `certificate`: a client
 * certificate tells who calls. `optional`: neither token nor key, but what is sent must be good.
 * `none`: anybody may call.
 */
export type Auth = "jwt" | "key" | "any" | "certificate" | "optional" | "none";

/**
 * `required`: a good client certificate beside what `auth` asks for. `noted`: the handler is told which
 * there is, if any, whoever issued it.
 */
export type CertificateDemand = "required" | "noted";

/** Status codes with the schema of their body or of what is streamed, or their text's type; null for an answer without one. */
export type Replies = Readonly<Record<number, Schema | StreamReply | TextReply | null>>;

// What goes out is only read, so constants and rows of a query will do.
type Frozen<T> = T extends object ? { readonly [Name in keyof T]: Frozen<T[Name]> } : T;

/** What a handler of `R` may return: one of the declared statuses with a body that fits it. */
export type ReplyOf<R extends Replies> = {
  readonly [Status in keyof R & number]: R[Status] extends StreamReply<infer T>
    ? {
        readonly status: Status;
        readonly stream: AsyncIterable<Frozen<T>>;
        readonly headers?: Readonly<Record<string, string>>;
      }
    : R[Status] extends TextReply
      ? {
          readonly status: Status;
          readonly body: string;
          readonly headers?: Readonly<Record<string, string>>;
        }
      : R[Status] extends Schema
        ? {
            readonly status: Status;
            readonly body: Frozen<SchemaOutput<R[Status]>>;
            readonly headers?: Readonly<Record<string, string>>;
          }
        : {
            readonly status: Status;
            readonly body?: undefined;
            readonly headers?: Readonly<Record<string, string>>;
          };
}[keyof R & number];

type ParamNames<Path extends string> = Path extends `${infer Segment}/${infer Rest}`
  ? SegmentName<Segment> | ParamNames<Rest>
  : SegmentName<Path>;
type SegmentName<Segment extends string> = Segment extends `:${infer Name}` ? Name : never;

/** The parameters that a path literal names: `/projects/:id` has `id`. */
export type PathParams<Path extends string> = { readonly [Name in ParamNames<Path>]: string };

type OutputOf<S extends Schema | BatchBody | undefined, Otherwise> = S extends BatchBody
  ? StagedBatch
  : S extends Schema
    ? SchemaOutput<S>
    : Otherwise;

/**
 * What a route takes as its body: JSON of a schema, many items ({@link batchBody}), or `bytes`:
 * whatever was sent, of any content type and unread, for senders who sign their bytes.
 */
export type BodyDeclaration = Schema | BatchBody | "bytes";

type BodyOf<B extends BodyDeclaration | undefined> = B extends "bytes"
  ? Buffer
  : OutputOf<Exclude<B, "bytes">, undefined>;

type InputOf<S extends Schema | undefined, Otherwise> = S extends Schema
  ? SchemaInput<S>
  : Otherwise;

type BodyInputOf<B extends BodyDeclaration | undefined> = B extends "bytes"
  ? unknown
  : B extends BatchBody<infer Input>
    ? Input
    : InputOf<Exclude<B, "bytes" | BatchBody>, undefined>;

/** What a handler is given. What a route does not declare is undefined here. */
export interface HandlerContext<Params, Query, Headers, Body, Caller, Tx> {
  readonly params: Params;
  readonly query: Query;
  readonly headers: Headers;
  readonly body: Body;
  /** Undefined on a route with `auth: "none"`, and for a caller without a token or key where it is optional. */
  readonly principal: Caller;
  /** The one transaction of a route that writes, the snapshot of one that reads; undefined with `transaction: "none"`. */
  readonly tx: Tx;
  readonly request: RequestInfo;
  /** Batches outside of `tx`, for answers that are streamed after it has ended. */
  readonly batches: Batches;
  /** Cursors of this request, bound to its tenant, route, filter and sort. */
  readonly list: List;
}

/**
 * What becomes of a body's fields that its schema does not declare, at any depth. `refuse`: 400
 * `unknown_field`. `remove`: the handler does not see them. `keep`: it does, where the schema lets
 * them pass (JSON Schema and TypeBox do, Zod's plain objects take them away).
 */
export type UnknownFields = "refuse" | "remove" | "keep";

/** How a writing route treats `Idempotency-Key`. */
export type IdempotencyMode = "optional" | "required" | "none";

/**
 * `read`: one snapshot that cannot write. `write`: one transaction. `none`: the handler does without
 * the store, and answers when that is away.
 */
export type TransactionMode = "read" | "write" | "none";

type TransactionOf<M extends Method, T extends TransactionMode> = T extends "none"
  ? undefined
  : M extends "GET"
    ? T extends "write"
      ? Transaction
      : Reader
    : Transaction;

type PrincipalOf<A extends Auth> = A extends "none"
  ? undefined
  : A extends "optional"
    ? Principal | undefined
    : Principal;

/** Declaration of a route; types of the handler follow from it. */
export interface RouteOptions<
  Path extends string,
  M extends Method,
  A extends Auth,
  ParamsSchema extends Schema | undefined,
  QuerySchema extends Schema | undefined,
  HeadersSchema extends Schema | undefined,
  Body extends BodyDeclaration | undefined,
  R extends Replies,
  Out extends ReplyOf<R>,
  T extends TransactionMode,
  I extends IdempotencyMode,
> extends HttpOptions {
  readonly method: M;
  /** Absolute path of literal segments and `:name` segments. */
  readonly path: Path;
  /** Default `jwt`. */
  readonly auth?: A;
  /** What is asked of the caller's certificate beside `auth`; default nothing. */
  readonly certificate?: CertificateDemand;
  /** API keys of which mode are good here; default what the deployment says (`APIFORGE_KEY_MODE`). */
  readonly keyMode?: KeyMode;
  /** Roles that may call; default every role. */
  readonly roles?: readonly string[];
  /** Scopes that a caller must all have, which for `roles` stand in where its role is not among them; default none. */
  readonly orScopes?: readonly string[];
  /** Scopes that a caller must all have; default none. */
  readonly scopes?: readonly string[];
  /** Default: every parameter of the path is a string. */
  readonly params?: ParamsSchema;
  /** Parameters that it does not declare are refused; without it the query is ignored. */
  readonly query?: QuerySchema;
  /** Names in lower case. */
  readonly headers?: HeadersSchema;
  /** {@link batchBody} takes many items. Without a schema a body is refused. */
  readonly body?: Body;
  /** Default `refuse`, which is the only choice for a {@link batchBody}. */
  readonly unknownFields?: UnknownFields;
  readonly replies: R;
  /**
   * Default `optional` for writing routes with a principal. Default `none` with `auth: "none"`:
   * keys of callers that nothing tells apart share one space. So where auth is `optional` the key
   * of a caller without a token is ignored.
   */
  readonly idempotency?: I;
  /**
   * `write` on a GET that leaves something behind, such as an audit row: its handler runs in a
   * transaction instead of on a snapshot, and a repeat leaves it again. `none` for a handler that
   * needs neither; it has no idempotency key, since nothing could be recorded with its answer. Every
   * other method writes by default.
   */
  readonly transaction?: T;
  /** Default 1 MiB. A {@link batchBody} has a limit of its own. */
  readonly maxBodyBytes?: number;
  /** Pages of other origins that may call; default the edge's `cors`. False: none. */
  readonly cors?: CorsOptions | false;
  /** Limits of this route; see {@link LimitOptions}. Default none. */
  readonly limits?: readonly LimitOptions[];
  /** Requests of one principal (of one address with `auth: "none"`) that may be at work at once. Default no limit. */
  readonly maxInFlight?: number;
  /** Served when others are refused because the server is overloaded. Default false. */
  readonly critical?: boolean;
  /** One line for the API reference. */
  readonly summary?: string;
  readonly tags?: readonly string[];
  /** Answers with a reply, or with an error of status 4xx when what was done must stay all the same. */
  readonly handler: (
    context: HandlerContext<
      OutputOf<ParamsSchema, PathParams<Path>>,
      OutputOf<QuerySchema, undefined>,
      OutputOf<HeadersSchema, undefined>,
      BodyOf<Body>,
      PrincipalOf<A>,
      TransactionOf<M, T>
    >,
  ) => Promise<Out | ApiForgeError> | Out | ApiForgeError;
}

/** What a handler returned, before its schema has been applied. */
export interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly stream?: AsyncIterable<unknown>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** {@link HandlerContext} of any route. */
export type AnyHandlerContext = HandlerContext<
  unknown,
  unknown,
  unknown,
  unknown,
  Principal | undefined,
  Transaction
>;

/** A declared route with its defaults filled in, ready for `createEdge`. */
export interface Route extends HttpFacts {
  readonly method: Method;
  readonly path: string;
  readonly auth: Auth;
  readonly certificate: CertificateDemand | undefined;
  readonly keyMode: KeyMode | undefined;
  readonly roles: readonly string[] | undefined;
  readonly orScopes: readonly string[];
  readonly scopes: readonly string[];
  readonly params: Schema | undefined;
  readonly query: Schema | undefined;
  readonly headers: Schema | undefined;
  readonly body: BodyDeclaration | undefined;
  readonly unknownFields: UnknownFields;
  readonly replies: Replies;
  readonly idempotency: IdempotencyMode;
  readonly transaction: TransactionMode;
  readonly maxBodyBytes: number;
  readonly cors: CorsOptions | false | undefined;
  readonly limits: readonly LimitPolicy[];
  readonly maxInFlight: number | undefined;
  readonly critical: boolean;
  readonly summary: string | undefined;
  readonly tags: readonly string[];
  /** Answers instead of the handler. Without a declared body it is given the request's as it arrives. */
  readonly relay?: Relay;
  /** A method, so that routes with different contexts fit in one list. */
  handler(context: AnyHandlerContext): Promise<Reply | ApiForgeError> | Reply | ApiForgeError;
}

/** True where the body is not read before it is passed on. */
export function takesRawBody({ relay, body }: Route): boolean {
  return relay !== undefined && body === undefined;
}

/** What callers of a route send and get, as types. */
export interface CallTypes {
  readonly params: unknown;
  /** Undefined when the route declares none. */
  readonly query: unknown;
  /** Undefined when the route declares none. */
  readonly body: unknown;
  /**
   * By status: the body, what is streamed of it, undefined for an answer without one, and never for
   * one that is no JSON.
   */
  readonly replies: Readonly<Record<number, unknown>>;
  readonly idempotency: IdempotencyMode;
}

type CallOf<
  Path extends string,
  ParamsSchema extends Schema | undefined,
  QuerySchema extends Schema | undefined,
  Body extends BodyDeclaration | undefined,
  R extends Replies,
  I extends IdempotencyMode,
> = {
  readonly params: InputOf<ParamsSchema, PathParams<Path>>;
  readonly query: InputOf<QuerySchema, undefined>;
  readonly body: BodyInputOf<Body>;
  readonly replies: {
    readonly [Status in keyof R & number]: R[Status] extends StreamReply<infer T>
      ? AsyncIterable<T>
      : R[Status] extends TextReply
        ? never
        : R[Status] extends Schema
          ? SchemaOutput<R[Status]>
          : undefined;
  };
  readonly idempotency: I;
};

/** A route that still knows its declaration's types, from which `@apiforge/client` has its own. */
export interface DeclaredRoute<
  M extends Method,
  Path extends string,
  Call extends CallTypes,
> extends Route {
  readonly method: M;
  readonly path: Path;
  /** Never there at run time. */
  readonly "~call"?: Call;
}

const defaultMaxBodyBytes = 1_048_576;
const pathPattern = /^(?:\/|(?:\/(?::[A-Za-z]\w*|[\w.~-]+))+)$/;

/**
 * Declares a route. Effects of the handler and its answer commit together: a returned reply of
 * any declared status below 500 commits, a thrown error rolls back. An error of status 4xx that is
 * returned instead of thrown commits what the handler did and is answered like a thrown one: so a
 * refusal leaves its audit row. Under an idempotency key both a committed answer and a refusal
 * (status 4xx), returned or thrown, are recorded for replay, a 5xx never.
 * @throws {TypeError} for a path or option that cannot work.
 */
export function defineRoute<
  const Path extends string,
  const M extends Method,
  const A extends Auth = "jwt",
  ParamsSchema extends Schema | undefined = undefined,
  QuerySchema extends Schema | undefined = undefined,
  HeadersSchema extends Schema | undefined = undefined,
  const Body extends BodyDeclaration | undefined = undefined,
  const R extends Replies = Replies,
  // Inferred from what the handler returns: its literal statuses would widen to `number` otherwise.
  const Out extends ReplyOf<R> = ReplyOf<R>,
  const T extends TransactionMode = "read",
  const I extends IdempotencyMode = A extends "none"
    ? "none"
    : T extends "none"
      ? "none"
      : "optional",
>(
  options: RouteOptions<Path, M, A, ParamsSchema, QuerySchema, HeadersSchema, Body, R, Out, T, I>,
): DeclaredRoute<M, Path, CallOf<Path, ParamsSchema, QuerySchema, Body, R, I>> {
  const { method, path } = options;
  const auth: Auth = options.auth ?? "jwt";
  const route: Route & { readonly method: M; readonly path: Path } = {
    method,
    path,
    auth,
    certificate: options.certificate,
    keyMode: options.keyMode,
    roles: options.roles,
    orScopes: options.orScopes ?? [],
    scopes: options.scopes ?? [],
    params: options.params,
    query: options.query,
    headers: options.headers,
    body: options.body,
    unknownFields: options.unknownFields ?? "refuse",
    replies: options.replies,
    idempotency:
      options.idempotency ??
      (method === "GET" || auth === "none" || options.transaction === "none" ? "none" : "optional"),
    transaction: options.transaction ?? (method === "GET" ? "read" : "write"),
    maxBodyBytes: options.maxBodyBytes ?? defaultMaxBodyBytes,
    cors: options.cors,
    limits: routeLimits(options.limits, auth),
    maxInFlight: options.maxInFlight,
    critical: options.critical ?? false,
    ...httpFacts(method, path, auth, options),
    summary: options.summary,
    tags: options.tags ?? [],
    // The stages give a handler exactly what its declaration says, which the type of one list of
    // different routes cannot express.
    handler: options.handler as Route["handler"],
  };
  refuseContradictions(route);
  return route;
}

function routeLimits(limits: readonly LimitOptions[] = [], auth: Auth): readonly LimitPolicy[] {
  const defaultBy = auth === "none" ? "address" : "principal";
  return limits.map((options) => limitPolicy(options, defaultBy));
}

function refuseContradictions(route: Route): void {
  const name = `Route ${route.method} ${route.path}`;
  if (!pathPattern.test(route.path)) {
    throw new TypeError(
      `${name}: a path is made of /segment and /:name parts, without a trailing slash`,
    );
  }
  if (route.method === "GET" && (route.body !== undefined || route.idempotency !== "none")) {
    throw new TypeError(`${name}: a GET has neither a body nor an idempotency key`);
  }
  if (route.method !== "GET" && route.transaction === "read") {
    throw new TypeError(`${name}: only a GET can run on a snapshot`);
  }
  if (route.transaction === "none" && route.idempotency !== "none") {
    throw new TypeError(
      `${name}: an idempotency key needs a transaction, which records the answer with its effects`,
    );
  }
  if (route.transaction === "none" && route.body instanceof BatchBody) {
    throw new TypeError(`${name}: a batch needs a transaction, which accepts it`);
  }
  const keepsItems = route.body instanceof BatchBody || route.body === "bytes";
  if (keepsItems && route.unknownFields !== "refuse") {
    throw new TypeError(`${name}: unknownFields is for a body of one JSON value`);
  }
  const isKnown = route.auth !== "none" && route.auth !== "optional";
  if (route.certificate === "required" && !isKnown) {
    throw new TypeError(
      `${name}: a certificate beside a token needs auth that asks for one; auth "certificate" needs no token`,
    );
  }
  if (route.certificate !== undefined && route.auth === "certificate") {
    throw new TypeError(`${name}: auth "certificate" asks for the certificate already`);
  }
  if (!isKnown && (route.roles !== undefined || route.scopes.length > 0)) {
    throw new TypeError(`${name}: roles and scopes need auth "jwt", "key", "any" or "certificate"`);
  }
  if (route.keyMode !== undefined && !["key", "any", "optional"].includes(route.auth)) {
    throw new TypeError(`${name}: keyMode is for a route that takes API keys`);
  }
  if (route.roles === undefined && route.orScopes.length > 0) {
    throw new TypeError(`${name}: orScopes stand in for roles, of which there are none`);
  }
  const needsCaller = route.limits.find(({ by }) => route.auth === "none" && namesCaller(by));
  if (needsCaller !== undefined) {
    throw new TypeError(
      `${name}: limit ${needsCaller.name} counts callers, which needs auth other than "none"`,
    );
  }
  if (route.maxInFlight !== undefined && !(route.maxInFlight >= 1)) {
    throw new TypeError(`${name}: maxInFlight is at least 1`);
  }
  const streams = Object.values(route.replies).some((reply) => reply instanceof StreamReply);
  if (streams && route.transaction === "write") {
    throw new TypeError(
      `${name}: only a route that reads can stream its reply, because a write's is recorded`,
    );
  }
  if (Object.keys(route.replies).length === 0) {
    throw new TypeError(`${name}: declare at least one reply`);
  }
}
