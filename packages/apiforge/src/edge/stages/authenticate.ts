import type { FastifyReply, FastifyRequest } from "fastify";

import type { Principal } from "../auth/principal.ts";
import type { PrincipalCache } from "../auth/principal-cache.ts";
import type { TokenVerifier } from "../auth/token-verifier.ts";
import { edgeError } from "../errors.ts";
import type { Route } from "../route.ts";

// RFC 6750 section 2.1; the scheme is case-insensitive (RFC 9110 section 11.1).
const bearer = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i;

/** The stage that finds out who is calling and whether that caller may use the route. */
export function authenticate(route: Route, verifier: TokenVerifier, cache: PrincipalCache) {
  return function authenticateRequest(
    request: FastifyRequest,
    reply: FastifyReply,
    done: (error?: Error) => void,
  ): void {
    const header = request.headers.authorization;
    if (header === undefined) {
      done(edgeError("missing_token", "Send a bearer token in the Authorization header"));
      return;
    }
    const token = bearer.exec(header)?.[1];
    if (token === undefined) {
      done(edgeError("invalid_token", "The Authorization header is not a bearer token"));
      return;
    }
    const known = cache.get(token);
    if (known !== undefined) {
      admit(route, known, request, reply, done);
      return;
    }
    verifier.verify(token).then(
      (verified) => {
        cache.set(token, verified);
        admit(route, verified.principal, request, reply, done);
      },
      (error: Error) => done(error),
    );
  };
}

function admit(
  route: Route,
  principal: Principal,
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
): void {
  request.exchange.principal = principal;
  if (route.roles !== undefined && !route.roles.includes(principal.role)) {
    done(edgeError("insufficient_role", "Your role does not allow this"));
    return;
  }
  if (!route.scopes.every((scope) => principal.scopes.includes(scope))) {
    const scope = route.scopes.join(" ");
    // RFC 6750 section 3.1.
    reply.header(
      "www-authenticate",
      `Bearer realm="apiforge", error="insufficient_scope", scope="${scope}"`,
    );
    done(edgeError("insufficient_scope", `This needs a token with scope ${scope}`));
    return;
  }
  done();
}
