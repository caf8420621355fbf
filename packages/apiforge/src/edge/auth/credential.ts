import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";

// RFC 6750 section 2.1; the scheme is case-insensitive (RFC 9110 section 11.1).
const bearer = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i;
const scheme = "Bearer ";
const keyHeader = "x-api-key";
const keyPrefix = "af_";

/** True where the caller brings nothing that would prove who it is. */
export function isAnonymous({ headers }: Exchange): boolean {
  return headers.authorization === undefined && headers[keyHeader] === undefined;
}

/**
 * The bearer token of a request.
 * @throws {missing_token} without an `Authorization` header.
 * @throws {invalid_token} for another scheme, and for two such headers.
 */
export function bearerToken({ request, headers }: Exchange): string {
  const header = headers.authorization;
  if (header === undefined) {
    throw edgeError("missing_token", "Send a bearer token in the Authorization header");
  }
  const token = plainToken(header) ?? bearer.exec(header)?.[1];
  if (token === undefined) {
    throw edgeError("invalid_token", "The Authorization header is not a bearer token");
  }
  // Node keeps the first of two; whoever stands in front of it may have looked at the other.
  if (countOf("authorization", request.raw.rawHeaders) > 1) {
    throw edgeError("invalid_token", "Send one Authorization header");
  }
  return token;
}

/**
 * The token behind `Bearer ` where nothing but characters follow: most headers. Whether they are
 * those of a token finds out who looks for it.
 */
function plainToken(header: string): string | undefined {
  if (!header.startsWith(scheme) || header.includes(" ", scheme.length)) return undefined;
  return header.length === scheme.length ? undefined : header.slice(scheme.length);
}

/**
 * The API key of a request: `X-Api-Key`, or a bearer token that begins like one. Undefined where it
 * brings another bearer token, or nothing.
 * @throws {invalid_api_key} for one beside an `Authorization` header: whoever stands in front may
 * have looked at the other.
 */
export function apiKey(exchange: Exchange): string | undefined {
  const { headers } = exchange;
  const key = headers[keyHeader];
  if (key === undefined) {
    if (headers.authorization === undefined) return undefined;
    const token = bearerToken(exchange);
    return token.startsWith(keyPrefix) ? token : undefined;
  }
  if (headers.authorization !== undefined) {
    throw edgeError("invalid_api_key", "Send either X-Api-Key or Authorization");
  }
  // Two of them arrive as one text with a comma, which is no key.
  return String(key);
}

function countOf(name: string, rawHeaders: readonly string[]): number {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const given = rawHeaders[index];
    // Lengths first: lower case is only made of the few that can match.
    if (given?.length === name.length && given.toLowerCase() === name) count++;
  }
  return count;
}
