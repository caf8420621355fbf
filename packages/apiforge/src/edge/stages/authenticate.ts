import type { PrincipalCache } from "../auth/principal-cache.ts";
import type { TokenVerifier } from "../auth/token-verifier.ts";
import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { Stage } from "../stage.ts";

// RFC 6750 section 2.1; the scheme is case-insensitive (RFC 9110 section 11.1).
const bearer = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i;

/** The stage that finds out who is calling. */
export function authenticate(verifier: TokenVerifier, cache: PrincipalCache): Stage {
  return function authenticateOn(route) {
    if (route === undefined || route.auth === "none" || route.auth === "certificate") {
      return undefined;
    }
    const isOptional = route.auth === "optional";
    return {
      enter(exchange) {
        if (isOptional && exchange.headers.authorization === undefined) return undefined;
        const token = bearerToken(exchange);
        exchange.principal = cache.get(token);
        if (exchange.principal !== undefined) return undefined;
        return verifier.verify(token).then((verified) => {
          cache.set(token, verified);
          exchange.principal = verified.principal;
        });
      },
    };
  };
}

function bearerToken({ request, headers }: Exchange): string {
  const header = headers.authorization;
  if (header === undefined) {
    throw edgeError("missing_token", "Send a bearer token in the Authorization header");
  }
  const token = bearer.exec(header)?.[1];
  if (token === undefined) {
    throw edgeError("invalid_token", "The Authorization header is not a bearer token");
  }
  // Node keeps the first of two; whoever stands in front of it may have looked at the other.
  if (countOf("authorization", request.raw.rawHeaders) > 1) {
    throw edgeError("invalid_token", "Send one Authorization header");
  }
  return token;
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
