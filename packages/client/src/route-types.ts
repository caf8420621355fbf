/** What a route says about its calls, as a type. APIForge's `defineRoute` gives it. */
export interface AnyCall {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly replies: Readonly<Record<number, unknown>>;
  readonly idempotency: "optional" | "required" | "none";
}

/** A route as the client's types need it. */
export interface AnyRoute {
  readonly method: string;
  readonly path: string;
  readonly "~call"?: AnyCall;
}

/** Paths of the routes with one of these methods. */
export type PathOf<Route extends AnyRoute, Method> = Extract<
  Route,
  { readonly method: Method }
>["path"];

/** The call of the route with this method and path. */
export type CallOf<Route extends AnyRoute, Method, Path> =
  Extract<Route, { readonly method: Method; readonly path: Path }> extends {
    readonly "~call"?: infer Call extends AnyCall;
  }
    ? Call
    : never;

/** The body of the route's successful answers. */
export type BodyOf<Call extends AnyCall> = {
  [Status in keyof Call["replies"] & number]: `${Status}` extends `2${string}`
    ? Call["replies"][Status]
    : never;
}[keyof Call["replies"] & number];

/** One item of a list's pages; never for a body that is no page. */
export type ItemOf<Body> = Body extends {
  readonly data: readonly (infer Item)[];
  readonly nextCursor: string | null;
}
  ? Item
  : never;

/** Paths of the routes that answer a page of a list. */
export type ListPathOf<Route extends AnyRoute> = {
  [Path in PathOf<Route, "GET">]: [ItemOf<BodyOf<CallOf<Route, "GET", Path>>>] extends [never]
    ? never
    : Path;
}[PathOf<Route, "GET">];

/** What one value of a streamed answer is; never for an answer that is none. */
export type ValueOf<Body> = Body extends AsyncIterable<infer Value> ? Value : never;

type AnswerKind<Body> = [Body] extends [never]
  ? "other"
  : Body extends AsyncIterable<unknown>
    ? "stream"
    : "json";

type PathOfKind<Route extends AnyRoute, Kind> = {
  [Path in PathOf<Route, "GET">]: AnswerKind<BodyOf<CallOf<Route, "GET", Path>>> extends Kind
    ? Path
    : never;
}[PathOf<Route, "GET">];

/** Paths of the reading routes that stream their answer. */
export type StreamPathOf<Route extends AnyRoute> = PathOfKind<Route, "stream">;

/** Paths of the reading routes whose answer is one JSON value, or none. */
export type JsonPathOf<Route extends AnyRoute> = PathOfKind<Route, "json">;

/** What every call may be given. */
export interface CommonOptions {
  /** Sent beside the client's own. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends the call, its waits included; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of a call of a reading route: what it declares, and required when it requires it. */
export type ReadOptions<Call extends AnyCall> = Simplify<
  Given<"params", Call["params"]> & Given<"query", Call["query"]> & CommonOptions
>;

/** Options of a call of a writing route. */
export type WriteOptions<Call extends AnyCall> = Simplify<
  Given<"params", Call["params"]> &
    Given<"query", Call["query"]> &
    Given<"body", Call["body"]> &
    KeyOption<Call["idempotency"]> &
    CommonOptions
>;

/** Options of a list: the cursors are the client's business. */
export type ListOptions<Call extends AnyCall> = Simplify<
  Given<"params", Call["params"]> &
    Given<"query", Omit<Call["query"] & object, "cursor">> &
    CommonOptions
>;

/** An argument that may be left out when nothing in it is required. */
export type Argument<Options> = object extends Options ? [options?: Options] : [options: Options];

// A route that takes no key must be told so: the writer knows then that it is attempted once.
type KeyOption<Idempotency> = Idempotency extends "none"
  ? { readonly idempotencyKey: null }
  : { readonly idempotencyKey?: string | undefined };

type Given<Name extends string, Value> = Value extends undefined
  ? { readonly [_ in Name]?: undefined }
  : object extends Value
    ? { readonly [_ in Name]?: Frozen<Value> }
    : { readonly [_ in Name]: Frozen<Value> };

// What goes out is only read, so constants will do.
type Frozen<T> = T extends object ? { readonly [Name in keyof T]: Frozen<T[Name]> } : T;

type Simplify<T> = { [Name in keyof T]: T[Name] };
