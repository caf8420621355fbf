import { holdName, type Transaction } from "../../durable/index.ts";
import { ApiForgeError } from "../../kernel/index.ts";
import { publicTenant } from "../auth/principal.ts";
import { paramNames } from "../caching/precondition.ts";
import { entityTag, hasStrongTag, hasTag } from "../caching/entity-tag.ts";
import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { AnyHandlerContext, Route } from "../route.ts";
import type { Steps } from "../stage.ts";
import { shape } from "./shape.ts";
import { checkPart, type ValidRequest } from "./validate.ts";

/** The stage that refuses a write without a condition where the route asks for one (RFC 6585 section 3). */
export function requirePrecondition(route: Route | undefined): Steps | undefined {
  return route?.precondition?.required === true ? { enter: requireHeader } : undefined;
}

function requireHeader({ headers }: Exchange): void {
  if (headers["if-match"] !== undefined || headers["if-none-match"] !== undefined) return;
  throw edgeError(
    "precondition_required",
    "Send If-Match with the ETag of what you have read, so that no change of others is lost",
  );
}

/**
 * Asks, in a write's transaction, whether what the request says holds of what is there (RFC 9110
 * section 13); answers the refusal if it does not.
 */
export type AskPrecondition = (
  exchange: Exchange,
  tx: Transaction,
) => Promise<ApiForgeError | undefined>;

/** Makes the context in which the handler of another route runs for the caller of `exchange`. */
export type ContextFor = (
  exchange: Exchange,
  route: Route,
  valid: ValidRequest,
) => AnyHandlerContext & { tx: Transaction };

/**
 * What asks it for `route`; undefined where it has no precondition.
 * @throws {TypeError} where the representation cannot be read without a query.
 */
export function askPrecondition(route: Route, contextFor: ContextFor): AskPrecondition | undefined {
  if (route.precondition === undefined) return undefined;
  const { representation } = route.precondition;
  const partsOf = requestParts(representation, route);
  const readTag = tagReader(representation, contextFor, route);
  return async function ask(exchange, tx) {
    const parts = partsOf(exchange);
    const tenant = exchange.principal?.tenant ?? publicTenant;
    // Held without a condition too: else such a write could come between another's check and change.
    const of = Object.entries(parts.params as object).map(([name, value]) => [name, String(value)]);
    await holdName(tx, JSON.stringify(["representation", tenant, representation.path, of]));
    const { "if-match": ifMatch, "if-none-match": ifNoneMatch } = exchange.headers;
    if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
    const tag = await readTag(exchange, tx, parts);
    if (ifMatch !== undefined && !holdsStrongly(ifMatch, tag)) {
      return edgeError(
        "precondition_failed",
        "If-Match names another state of this; read it again",
      );
    }
    if (ifNoneMatch !== undefined && tag !== undefined && hasTag(ifNoneMatch, tag)) {
      return edgeError("precondition_failed", "If-None-Match names what is there already");
    }
    return undefined;
  };
}

function holdsStrongly(ifMatch: string, tag: string | undefined): boolean {
  return tag !== undefined && hasStrongTag(ifMatch, tag);
}

type ReadTag = (
  exchange: Exchange,
  tx: Transaction,
  parts: ValidRequest,
) => Promise<string | undefined>;

/** Reads the tag of what is there; undefined where nothing is, and it would have been made. */
function tagReader(representation: Route, contextFor: ContextFor, write: Route): ReadTag {
  const shapeReply = shape(representation);
  return async function readTag(exchange, tx, parts) {
    const context = contextFor(exchange, representation, parts);
    context.tx = tx;
    try {
      const reply = await representation.handler(context);
      if (ApiForgeError.is(reply)) throw reply;
      if (reply.status !== 200) return undefined;
      return entityTag(shapeReply(reply, undefined).body);
    } catch (error) {
      // Where a condition cannot hold and the request would be refused anyway, the refusal tells
      // more (section 13.2.1); a PUT would not be.
      const isAbsent = ApiForgeError.is(error) && (error.status === 404 || error.status === 410);
      if (isAbsent && write.method === "PUT") return undefined;
      throw error;
    }
  };
}

/** The parts that the GET `route` would have been asked with. */
function requestParts(route: Route, write: Route): (exchange: Exchange) => ValidRequest {
  const { params, query, headers } = route;
  const names = paramNames(route.path);
  const checkParams =
    params === undefined ? undefined : checkPart("params", params, "text", "keep");
  const checkQuery = query === undefined ? undefined : checkPart("query", query, "text", "refuse");
  const checkHeaders =
    headers === undefined ? undefined : checkPart("headers", headers, "text", "keep");
  try {
    checkQuery?.({});
  } catch (cause) {
    throw new TypeError(
      `Route ${write.method} ${write.path}: the representation of precondition needs a query`,
      { cause },
    );
  }
  return function partsOf({ request }) {
    const own: Record<string, unknown> = {};
    for (const name of names) own[name] = Reflect.get(request.params as object, name);
    return {
      params: checkParams === undefined ? own : checkParams(own),
      query: checkQuery?.({}),
      headers: checkHeaders?.(request.headers),
      body: undefined,
    };
  };
}
