import type { Principal } from "../auth/principal.ts";
import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../route.ts";
import type { Steps } from "../stage.ts";

/** The stage that asks whether the caller's role and scopes are enough for the route. */
export function authorize(route: Route | undefined): Steps | undefined {
  if (route === undefined || (route.roles === undefined && route.scopes.length === 0)) {
    return undefined;
  }
  return { enter: (exchange) => requireRights(route, exchange) };
}

function requireRights({ roles, orScopes, scopes }: Route, exchange: Exchange): void {
  const { principal } = exchange;
  if (roles !== undefined && (principal === undefined || !roles.includes(principal.role))) {
    if (orScopes.length === 0 || !hasAll(principal, orScopes)) {
      throw edgeError("insufficient_role", "Your role does not allow this");
    }
  }
  if (hasAll(principal, scopes)) return;
  const scope = scopes.join(" ");
  // RFC 6750 section 3.1.
  exchange.setHeader(
    "www-authenticate",
    `Bearer realm="apiforge", error="insufficient_scope", scope="${scope}"`,
  );
  throw edgeError("insufficient_scope", `This needs a token with scope ${scope}`);
}

function hasAll(principal: Principal | undefined, scopes: readonly string[]): boolean {
  return scopes.every((scope) => principal?.scopes.includes(scope) === true);
}
