import type { Method, Route } from "../route.ts";
import { StreamReply } from "../stream-reply.ts";

/** What the requests of a writing route may be conditional on. */
export interface PreconditionOptions {
  /**
   * The GET with `etag: true` that answers what the route changes; each parameter of its path is one
   * of the route's. `If-Match` and `If-None-Match` of a request are compared, in the transaction of
   * the write, with the tag that this GET would answer to the same caller, without a query. A
   * request that they do not hold for is refused with 412 `precondition_failed`, which is not
   * recorded. A recorded answer is replayed whatever they say.
   */
  readonly representation: Route;
  /** True refuses requests with neither of the two headers: 428 `precondition_required`. Default false. */
  readonly required?: boolean;
}

/** {@link PreconditionOptions} with the defaults filled in. */
export type Precondition = Required<PreconditionOptions>;

/** @throws {TypeError} for a representation whose tag says nothing about what `method path` changes. */
export function compilePrecondition(
  method: Method,
  path: string,
  transaction: string | undefined,
  options: PreconditionOptions,
): Precondition {
  const { representation, required = false } = options;
  if (method === "GET") throw new TypeError("precondition is for a route that writes");
  if (transaction === "none" || representation.transaction === "none") {
    throw new TypeError("precondition needs the transaction that it is a part of");
  }
  const reply = representation.replies[200];
  if (!representation.etag || reply === undefined || reply instanceof StreamReply) {
    throw new TypeError("the representation of precondition is a GET with etag and a reply 200");
  }
  const names = paramNames(path);
  if (![...paramNames(representation.path)].every((name) => names.has(name))) {
    throw new TypeError("the representation of precondition has a parameter that the route lacks");
  }
  return { representation, required };
}

/** Names of the parameters of a route's path. */
export function paramNames(path: string): ReadonlySet<string> {
  return new Set([...path.matchAll(/:(\w+)/g)].map(([, name = ""]) => name));
}
