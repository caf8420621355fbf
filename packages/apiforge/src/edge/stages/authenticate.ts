import type { PrincipalCache } from "../auth/principal-cache.ts";
import type { TokenVerifier } from "../auth/token-verifier.ts";
import { edgeError } from "../errors.ts";
import type { Stage } from "../stage.ts";

// RFC 6750 section 2.1; the scheme is case-insensitive (RFC 9110 section 11.1).
const bearer = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i;

/** The stage that finds out who is calling. */
export function authenticate(verifier: TokenVerifier, cache: PrincipalCache): Stage {
  return function authenticateOn(route) {
    if (route === undefined || route.auth === "none") return undefined;
    const isOptional = route.auth === "optional";
    return {
      enter(exchange) {
        if (isOptional && exchange.headers.authorization === undefined) return undefined;
        const token = bearerToken(exchange.headers.authorization);
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

function bearerToken(header: string | undefined): string {
  if (header === undefined) {
    throw edgeError("missing_token", "Send a bearer token in the Authorization header");
  }
  const token = bearer.exec(header)?.[1];
  if (token === undefined) {
    throw edgeError("invalid_token", "The Authorization header is not a bearer token");
  }
  return token;
}
