import { isUnqualified, seconds, type Directives } from "./directives.ts";
import { members, type Fields } from "./fields.ts";
import { mayGuess, type Freshness, type Policy } from "./freshness.ts";

/** What of a request decides whether its answer may be kept. */
export interface Asked {
  /** The stages know who called. */
  readonly isKnownCaller: boolean;
  /** It carried what may tell its upstream who called: `Authorization`, `X-Api-Key` or `Cookie`. */
  readonly hasCredentials: boolean;
}

/** Who may get a stored answer: everybody whom the stages of the route let pass, or the one who asked. */
export type Audience = "all" | "caller";

const incomplete: ReadonlySet<number> = new Set([206, 304]);
/** Those of which we know what caching them asks for (RFC 9111 section 5.2.2.3). */
const understood: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501,
]);
/** Made anew for each hop, or by this gateway out of who asks: an answer that depends on one fits no other request. */
const unselectable =
  /^(?:\*|via|forwarded|x-forwarded-.*|x-real-ip|x-request-id|traceparent|tracestate|client-cert.*)$/;

/**
 * Whether an answer to a GET may be kept in a cache that many share (RFC 9111 section 3), and for whom.
 * Undefined: not at all.
 *
 * Whatever the caller is known by, an answer is his alone unless it says `public` or `s-maxage`. Where the stages do not
 * know him but the upstream may, it is kept only if it says one of these or `must-revalidate` (section 3.5).
 * What sets a cookie is never kept.
 */
export function audienceOf(
  asked: Asked,
  status: number,
  fields: Fields,
  { directives }: Policy,
  freshness: Freshness,
): Audience | undefined {
  if (status < 200 || incomplete.has(status) || isForbidden(status, directives)) return undefined;
  if (
    fields.has("set-cookie") ||
    members(fields.get("vary")).some((name) => unselectable.test(name))
  ) {
    return undefined;
  }
  if (!isWorthKeeping(status, fields, directives, freshness)) return undefined;
  const isForAll = directives.has("public") || seconds(directives, "s-maxage") !== undefined;
  if (asked.isKnownCaller) return isForAll ? "all" : "caller";
  const mayShare = isForAll || directives.has("must-revalidate");
  return asked.hasCredentials && !mayShare ? undefined : "all";
}

function isForbidden(status: number, directives: Directives): boolean {
  if (isUnqualified(directives, "private")) return true;
  if (directives.has("must-understand")) return !understood.has(status);
  return directives.has("no-store");
}

/** It can be used for some time, or asked about by its tag or date. */
function isWorthKeeping(
  status: number,
  fields: Fields,
  directives: Directives,
  { lifetimeMs, isExplicit, staleWhileRevalidateMs, staleIfErrorMs }: Freshness,
): boolean {
  if (!isExplicit && !mayGuess(status, directives)) return false;
  if (lifetimeMs > 0 || staleWhileRevalidateMs > 0 || staleIfErrorMs > 0) return true;
  const saysSomething = isExplicit || directives.size > 0;
  return saysSomething && (fields.has("etag") || fields.has("last-modified"));
}
