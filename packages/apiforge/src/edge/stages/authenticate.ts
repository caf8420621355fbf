import { apiKey, bearerToken, isAnonymous } from "../auth/credential.ts";
import type { Authorisers, KeyAuthoriser } from "../auth/authorisers.ts";
import type { KnownKey } from "../auth/key-verifier.ts";
import type { KeyMode } from "../auth/principal.ts";
import type { VerifiedToken } from "../auth/token-verifier.ts";
import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../route.ts";
import type { Enter, Stage } from "../stage.ts";

/**
 * The stage that finds out who is calling.
 * @throws {TypeError} for a route that asks for API keys where there are none.
 */
export function authenticate({ tokens, keys }: Authorisers): Stage {
  const byToken: Enter = (exchange) => {
    const { socket } = exchange.request.raw;
    const text = exchange.headers.authorization ?? "";
    const token = bearerToken(exchange);
    const known = tokens.lastOn(socket, text);
    return admit(exchange, known ?? tokens.authorise(token, { connection: socket, text }));
  };
  return function authenticateOn(route) {
    if (route === undefined || route.auth === "none" || route.auth === "certificate") {
      return undefined;
    }
    if (route.auth === "jwt") return { enter: byToken };
    if (keys === undefined) return { enter: withoutKeys(route, byToken) };
    const byKey = keyEntry(keys, route.keyMode ?? keys.mode);
    const enter = route.auth === "key" ? byKey : byEither(byToken, byKey);
    return { enter: route.auth === "optional" ? unlessAnonymous(enter) : enter };
  };
}

function keyEntry({ authoriser, used }: KeyAuthoriser, mode: KeyMode | undefined): Enter {
  function admitKey(exchange: Exchange, { principal, check }: KnownKey): void {
    if (mode !== undefined && principal.keyMode !== mode) throw wrongMode(mode);
    check?.(exchange);
    if (principal.credentialId !== undefined) used(principal.credentialId);
    exchange.principal = principal;
  }
  return (exchange) => {
    const key = apiKey(exchange);
    if (key === undefined) throw missingKey(exchange);
    const known = authoriser.authorise(key);
    if (!(known instanceof Promise)) return admitKey(exchange, known);
    return known.then((verified) => admitKey(exchange, verified));
  };
}

function missingKey(exchange: Exchange): Error {
  return isAnonymous(exchange)
    ? edgeError("missing_api_key", "Send an API key in the X-Api-Key header")
    : edgeError("invalid_api_key", "This needs an API key");
}

function wrongMode(mode: KeyMode): Error {
  const [other, data] = mode === "live" ? ["test", "live"] : ["live", "test"];
  return edgeError("key_mode_refused", `A ${other} key is not good for ${data} data`);
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

function admit(
  exchange: Exchange,
  verified: VerifiedToken | Promise<VerifiedToken>,
): void | Promise<void> {
  if (verified instanceof Promise) return verified.then((known) => admit(exchange, known));
  exchange.principal = verified.principal;
}
