import { call, type Answer, type RequestOptions } from "./call.ts";
import type { ServerSentEvent } from "./event-parser.ts";
import { readEvents, type EventsOptions } from "./events.ts";
import { readNdjson } from "./ndjson.ts";
import type { JobStatus } from "./job.ts";
import { readList } from "./pages.ts";
import type {
  AnyRoute,
  Argument,
  BodyOf,
  CallOf,
  ItemOf,
  JsonPathOf,
  ListOptions,
  ListPathOf,
  PathOf,
  ReadOptions,
  StreamPathOf,
  ValueOf,
  WriteOptions,
} from "./route-types.ts";
import { settingsOf, type ClientOptions } from "./settings.ts";
import { watchJob, type WatchOptions } from "./watch-job.ts";

type WriteMethod = "POST" | "PUT" | "PATCH" | "DELETE";

type Write<Route extends AnyRoute, Method extends WriteMethod> = <
  Path extends PathOf<Route, Method>,
>(
  path: Path,
  ...options: Argument<WriteOptions<CallOf<Route, Method, Path>>>
) => Promise<BodyOf<CallOf<Route, Method, Path>>>;

/** Calls by paths that only the running server knows, such as a `statusUrl` of an answer. */
export interface UrlClient {
  /**
   * Makes one call and gives the whole answer; the shorter methods give its body. `url` is a path of
   * the API, never of another origin.
   * @throws {ApiError} for every answer that is no success, and for none.
   */
  request(method: string, url: string, options?: RequestOptions): Promise<Answer>;
  /**
   * Events of a server-sent event stream, connecting again after the last one whenever the
   * connection ends. Ends by itself only on status 204; else leave the loop or abort the signal.
   */
  events(url: string, options?: EventsOptions): AsyncIterableIterator<ServerSentEvent>;
  /**
   * The status of a long-running job, now and whenever it has changed, up to its last one. Listens
   * to the job's events (`…/events` beside `…/status`) where there are some, else asks, less and
   * less often while nothing changes. Outlives networks and servers that are away for a while.
   * @throws {ApiError} when the server refuses to tell, such as 403 or 404.
   */
  watch<Job extends JobStatus = JobStatus>(
    statusUrl: string,
    options?: WatchOptions,
  ): AsyncIterableIterator<Job>;
}

/**
 * A client of the API whose routes are `Route`. A call resolves with the body of a successful answer
 * and rejects with an `ApiError` otherwise. Failures that may pass (no answer, 429, 502-504, and 409
 * while the same write is running) are tried again; writes carry an idempotency key, so that they
 * take effect once however often they are sent.
 */
export interface Client<Route extends AnyRoute> extends UrlClient {
  get<Path extends JsonPathOf<Route>>(
    path: Path,
    ...options: Argument<ReadOptions<CallOf<Route, "GET", Path>>>
  ): Promise<BodyOf<CallOf<Route, "GET", Path>>>;
  readonly post: Write<Route, "POST">;
  readonly put: Write<Route, "PUT">;
  readonly patch: Write<Route, "PATCH">;
  readonly delete: Write<Route, "DELETE">;
  /** The items of a list, over all its pages. `query.limit` is the size of a page. */
  list<Path extends ListPathOf<Route>>(
    path: Path,
    ...options: Argument<ListOptions<CallOf<Route, "GET", Path>>>
  ): AsyncIterableIterator<ItemOf<BodyOf<CallOf<Route, "GET", Path>>>>;
  /**
   * The values of an NDJSON answer as they arrive.
   * @throws {ApiError} `connection_failed` or `timeout` when the stream breaks off: it has no cursor
   * to go on from.
   */
  ndjson<Path extends StreamPathOf<Route>>(
    path: Path,
    ...options: Argument<ReadOptions<CallOf<Route, "GET", Path>>>
  ): AsyncIterableIterator<ValueOf<BodyOf<CallOf<Route, "GET", Path>>>>;
}

/**
 * Makes a client: `createClient<typeof routes>({ baseUrl })`, where `routes` is a list of declared
 * routes, imported as a type only. No connection is opened yet.
 */
export function createClient<const Routes extends readonly AnyRoute[] = readonly []>(
  options: ClientOptions = {},
): Client<Routes[number]> {
  const settings = settingsOf(options);
  const bodyOf =
    (method: string) =>
    async (path: string, given: RequestOptions = {}) => {
      const { body } = await call(settings, method, path, given);
      return body;
    };
  const client = {
    request: (method: string, url: string, given: RequestOptions = {}) =>
      call(settings, method, url, given),
    events: (url: string, given: EventsOptions = {}) => readEvents(settings, url, given),
    watch: (url: string, given: WatchOptions = {}) => watchJob(settings, url, given),
    get: bodyOf("GET"),
    post: bodyOf("POST"),
    put: bodyOf("PUT"),
    patch: bodyOf("PATCH"),
    delete: bodyOf("DELETE"),
    list: (path: string, given: RequestOptions = {}) => readList(settings, path, given),
    ndjson: (path: string, given: RequestOptions = {}) => readNdjson(settings, path, given),
  };
  // The server keeps its answers to what the routes declare; here they are not checked again.
  return client as Client<Routes[number]>;
}
