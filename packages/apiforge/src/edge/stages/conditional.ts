import type { Answer } from "../../durable/index.ts";
import { entityTag, hasStrongTag, hasTag } from "../caching/entity-tag.ts";
import { edgeError } from "../errors.ts";
import type { ErrorHooks } from "../evidence/error-hooks.ts";
import type { Exchange } from "../exchange.ts";
import { addToList } from "../list-header.ts";
import type { Outgoing } from "../outgoing.ts";
import type { Auth } from "../route.ts";
import type { Stage } from "../stage.ts";
import { failureAnswer } from "./fail.ts";

/**
 * The stage that names what a route answers by a tag, leaves out what the caller has already
 * (RFC 9110 section 13), and says how long it may be kept.
 */
export function conditional(errorHooks: ErrorHooks): Stage {
  return function conditionalOn(route) {
    if (route === undefined) return undefined;
    const { etag, cacheControl } = route;
    if (!etag && cacheControl === undefined) return undefined;
    const callerFields = fieldsOfCaller(route.auth);
    return {
      leave(exchange, outgoing) {
        if (outgoing.answer.status !== 200) return undefined;
        const kept =
          cacheControl === undefined
            ? outgoing
            : withCacheControl(cacheControl, callerFields, exchange, outgoing);
        return etag && kept.stream === undefined ? tagged(exchange, kept, errorHooks) : kept;
      },
    };
  };
}

function withCacheControl(
  cacheControl: string,
  callerFields: string | undefined,
  exchange: Exchange,
  outgoing: Outgoing,
): Outgoing {
  const { answer } = outgoing;
  // The handler's word comes first.
  const headers = { "cache-control": cacheControl, ...answer.headers };
  const kept = { ...outgoing, answer: { ...answer, headers } };
  // A browser's next user is another caller.
  return callerFields === undefined ? kept : addToList(exchange, kept, "vary", callerFields);
}

/** The request fields that say who calls; undefined where nobody is asked. */
function fieldsOfCaller(auth: Auth): string | undefined {
  if (auth === "none") return undefined;
  return auth === "jwt" ? "Authorization" : "Authorization, X-Api-Key";
}

/** `outgoing` with its tag, or what the preconditions make of it, in the order of section 13.2.2. */
function tagged(exchange: Exchange, outgoing: Outgoing, errorHooks: ErrorHooks): Outgoing {
  const { answer } = outgoing;
  const etag = entityTag(answer.body);
  const { "if-match": ifMatch, "if-none-match": ifNoneMatch } = exchange.headers;
  if (ifMatch !== undefined && !hasStrongTag(ifMatch, etag)) {
    const refusal = edgeError("precondition_failed", "If-Match names another state of this");
    return failureAnswer(refusal, exchange, errorHooks);
  }
  if (ifNoneMatch !== undefined && hasTag(ifNoneMatch, etag)) {
    return { ...outgoing, answer: notModified(exchange.method, answer, etag) };
  }
  return { ...outgoing, answer: { ...answer, headers: { ...answer.headers, etag } } };
}

function notModified(method: string, { headers, body }: Answer, etag: string): Answer {
  const status = 304;
  // Node sends no body to a HEAD; it tells the length, which is that of the 200 (section 8.6).
  if (method === "HEAD") return { status, headers: { ...headers, etag }, body };
  const { "content-type": _, ...others } = headers;
  return { status, headers: { ...others, etag }, body: "" };
}
