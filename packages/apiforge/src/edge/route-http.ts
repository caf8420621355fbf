import { cacheControl, type CacheOptions } from "./caching/cache-control.ts";
import {
  compilePrecondition,
  type Precondition,
  type PreconditionOptions,
} from "./caching/precondition.ts";
import type { Auth, Method, TransactionMode } from "./route.ts";
import {
  compileDeprecation,
  type Deprecation,
  type DeprecationOptions,
} from "./versions/deprecation.ts";
import { checkVersion } from "./versions/version-choice.ts";

/** What a route declares about HTTP itself, whatever it does. */
export interface HttpOptions {
  /** The route is on its way out; default it is not. */
  readonly deprecated?: DeprecationOptions;
  /**
   * True, on a GET: answers of status 200 that are not streamed carry a strong `ETag` of their bytes,
   * whatever a handler sets; `If-None-Match` makes 304 of them, `If-Match` 412. The handler runs
   * all the same. Default false.
   */
  readonly etag?: boolean;
  /**
   * `Cache-Control` of a GET's answers of status 200 and 304, where the handler sets none. Default
   * none, and `no-store` on a route with a principal.
   */
  readonly cache?: CacheOptions;
  /**
   * Callers may ask for single fields of answers of status 2xx that are JSON: `?fields=id,owner.email`.
   * A name leads through lists to their items. Names of an answer that is `{ data, hasMore, nextCursor }`
   * or `{ success, data }` are those of its data. The ETag is that of what is sent. Default true on a
   * GET whose reply declares fields and whose query has no `fields` of its own, else false.
   */
  readonly fields?: boolean;
  /**
   * Which version of its method and path the route is, where there are several; see `versions` of
   * `createForge`. Default: it answers whatever version is asked for.
   */
  readonly version?: string;
  /** On a route that writes: `If-Match` and `If-None-Match` count. Default they are ignored. */
  readonly precondition?: PreconditionOptions;
}

/** {@link HttpOptions} as the stages work with them. */
export interface HttpFacts {
  readonly deprecated: Deprecation | undefined;
  readonly etag: boolean;
  readonly cacheControl: string | undefined;
  /** Undefined: where it can. */
  readonly fields: boolean | undefined;
  readonly precondition: Precondition | undefined;
  readonly version: string | undefined;
}

/** @throws {TypeError} for what cannot work; the message begins with the route's name. */
export function httpFacts(
  method: Method,
  path: string,
  auth: Auth,
  options: HttpOptions & { readonly transaction?: TransactionMode },
): HttpFacts {
  const { deprecated, etag = false, cache, precondition } = options;
  try {
    if (method !== "GET" && (etag || cache !== undefined)) {
      throw new TypeError("etag and cache are for a GET");
    }
    if (auth !== "none" && cache?.public === true) {
      throw new TypeError(
        'a public cache would hand answers to callers without a token; auth "none" has none',
      );
    }
    return {
      deprecated: deprecated === undefined ? undefined : compileDeprecation(deprecated),
      etag,
      cacheControl: cache === undefined ? undefined : cacheControl(cache),
      fields: options.fields,
      version: checkVersion(options.version),
      precondition:
        precondition === undefined
          ? undefined
          : compilePrecondition(method, path, options.transaction, precondition),
    };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new TypeError(`Route ${method} ${path}: ${error.message}`, { cause: error });
  }
}
