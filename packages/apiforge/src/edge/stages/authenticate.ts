import { apiKey, bearerToken, isAnonymous } from "../auth/credential.ts";
import type { KeyVerdict, KeyVerifier } from "../auth/key-verifier.ts";
import type { Principal } from "../auth/principal.ts";
import type { PrincipalCache } from "../auth/principal-cache.ts";
import type { TokenVerifier } from "../auth/token-verifier.ts";
import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../route.ts";
import type { Enter, Stage } from "../stage.ts";

/** What tells callers by what they bring. */
export interface Authenticators {
  readonly verifier: TokenVerifier;
  readonly principals: PrincipalCache;
  readonly keys: KeyVerifier | undefined;
}

/**
 * The stage that finds out who is calling.
 * @throws {TypeError} for a route that asks for API keys where there are none.
 */
export function authenticate({ verifier, principals, keys }: Authenticators): Stage {
  const byToken = tokenEntry(verifier, principals);
  return function authenticateOn(route) {
    if (route === undefined || route.auth === "none") return undefined;
    if (route.auth === "jwt") return { enter: byToken };
    if (keys === undefined) return { enter: withoutKeys(route, byToken) };
    const byKey = keyEntry(keys);
    const enter = route.auth === "key" ? byKey : byEither(byToken, byKey);
    return { enter: route.auth === "optional" ? unlessAnonymous(enter) : enter };
  };
}

function tokenEntry(verifier: TokenVerifier, cache: PrincipalCache): Enter {
  return (exchange) => {
    const token = bearerToken(exchange);
    exchange.principal = cache.get(token);
    if (exchange.principal !== undefined) return undefined;
    return verifier.verify(token).then((verified) => {
      cache.set(token, verified);
      exchange.principal = verified.principal;
    });
  };
}

function keyEntry(keys: KeyVerifier): Enter {
  return (exchange) => {
    const key = apiKey(exchange);
    if (key === undefined) {
      throw isAnonymous(exchange)
        ? edgeError("missing_api_key", "Send an API key in the X-Api-Key header")
        : edgeError("invalid_api_key", "This needs an API key");
    }
    const verdict = keys.verify(key);
    if (!(verdict instanceof Promise)) return admit(exchange, verdict);
    return verdict.then((looked) => admit(exchange, looked));
  };
}

function byEither(byToken: Enter, byKey: Enter): Enter {
  return (exchange) => {
    if (isAnonymous(exchange)) {
      throw edgeError("missing_token", "Send a bearer token or an API key");
    }
    return apiKey(exchange) === undefined ? byToken(exchange) : byKey(exchange);
  };
}

function unlessAnonymous(enter: Enter): Enter {
  return (exchange) => (isAnonymous(exchange) ? undefined : enter(exchange));
}

function withoutKeys({ auth, method, path }: Route, byToken: Enter): Enter {
  if (auth !== "optional") {
    throw new TypeError(`Route ${method} ${path}: there are no API keys for auth "${auth}"`);
  }
  return (exchange) =>
    exchange.headers.authorization === undefined ? undefined : byToken(exchange);
}

function admit(exchange: Exchange, verdict: KeyVerdict): void {
  exchange.principal = principalOf(verdict);
}

function principalOf(verdict: KeyVerdict): Principal {
  if (verdict === "invalid") throw edgeError("invalid_api_key", "The API key is not valid");
  if (verdict === "expired") throw edgeError("api_key_expired", "The API key has expired");
  return verdict.principal;
}
