import createRouter, { type HTTPMethod } from "find-my-way";

import { hasEmptyParam, maxParamLength } from "../allowed-methods.ts";
import { allowedOrigin, corsPolicy, type CorsOptions, type CorsPolicy } from "../cors/policy.ts";
import type { Exchange } from "../exchange.ts";
import { addToList } from "../list-header.ts";
import { plainAnswer, type Outgoing } from "../outgoing.ts";
import type { Route } from "../route.ts";
import type { Stage } from "../stage.ts";

/** The policy of a route, from its own options or those for all. */
export type PolicyOf = (route: Route | undefined) => CorsPolicy | undefined;

/** @throws {TypeError} see {@link corsPolicy}. */
export function policies(forAll: CorsOptions | undefined): PolicyOf {
  const [plain, ofCalls] = [policyMaker(false), policyMaker(true)];
  if (forAll !== undefined) plain(forAll);
  return function policyOf(route) {
    const options = route?.cors ?? forAll;
    if (options === undefined || options === false) return undefined;
    return (route?.relay?.takesCalls === true ? ofCalls : plain)(options);
  };
}

function policyMaker(takesCalls: boolean): (options: CorsOptions) => CorsPolicy {
  const made = new Map<CorsOptions, CorsPolicy>();
  return function policyFrom(options) {
    const policy = made.get(options) ?? corsPolicy(options, takesCalls);
    made.set(options, policy);
    return policy;
  };
}

/** The stage that tells browsers, on every answer and errors too, whether a page may read it. */
export function cors(policyOf: PolicyOf): Stage {
  return function corsOn(route) {
    const policy = policyOf(route);
    if (policy === undefined) return undefined;
    let last: string | undefined;
    const allowed = (origin: string | undefined): string | undefined => {
      // Most callers of a route are of one page, and two texts are compared faster than one is looked up.
      if (origin === undefined || origin !== last) last = allowedOrigin(policy, origin);
      return last;
    };
    return {
      leave(exchange, answer) {
        // A preflight speaks for the route that it asks about, not for the path that none answers.
        if (route === undefined && isPreflight(exchange)) return undefined;
        return withCors(policy, allowed, exchange, answer);
      },
    };
  };
}

function withCors(
  policy: CorsPolicy,
  allowed: (origin: string | undefined) => string | undefined,
  exchange: Exchange,
  answer: Outgoing,
): Outgoing {
  const origin =
    policy.methods === undefined || policy.methods.has(exchange.method)
      ? allowed(exchange.headers.origin)
      : undefined;
  if (origin !== undefined) {
    allow(policy, exchange, origin);
    exchange.putHeader("access-control-expose-headers", policy.exposedHeaders);
  }
  // Where no origin is allowed too: a cache must not hand that answer to one that is.
  return policy.origins === "*" ? answer : addToList(exchange, answer, "vary", "Origin");
}

function allow(policy: CorsPolicy, exchange: Exchange, origin: string): void {
  exchange.putHeader("access-control-allow-origin", origin);
  if (policy.credentials) exchange.putHeader("access-control-allow-credentials", "true");
}

function isPreflight({ method, headers }: Exchange): boolean {
  if (method !== "OPTIONS" || headers.origin === undefined) return false;
  return headers["access-control-request-method"] !== undefined;
}

/**
 * The stage that answers preflights (Fetch section 3.3.6) for the route that the request will go to,
 * before limits, tokens and everything else that a preflight does not carry.
 */
export function preflight(routes: readonly Route[], policyOf: PolicyOf): Stage {
  const router = createRouter({ maxParamLength });
  const methodsAt = new Map<string, Set<string>>();
  for (const route of routes) {
    const policy = policyOf(route);
    if (policy === undefined || router.hasRoute(route.method, route.path)) continue;
    router.on(route.method, route.path, unused, { route, policy });
    const methods = methodsAt.get(route.path) ?? new Set();
    methodsAt.set(route.path, methods.add(route.method));
  }

  function enter(exchange: Exchange): void {
    if (!isPreflight(exchange)) return;
    const { origin, "access-control-request-method": method = "" } = exchange.headers;
    const [path = ""] = exchange.url.split("?", 1);
    const wanted = method === "HEAD" ? "GET" : method;
    // What no router knows is found by none.
    const found = router.find(wanted as HTTPMethod, path);
    if (found === null || hasEmptyParam(found.params)) return;
    const { route, policy } = found.store as { route: Route; policy: CorsPolicy };
    exchange.answer = plainAnswer(204);
    if (policy.origins !== "*") exchange.putHeader("vary", "Origin");
    const allowed = allowedOrigin(policy, origin);
    if (allowed === undefined || policy.methods?.has(method) === false) return;
    allow(policy, exchange, allowed);
    const methods = policy.methods ?? methodsAt.get(route.path) ?? [];
    exchange.putHeader("access-control-allow-methods", [...methods].join(", "));
    exchange.putHeader("access-control-allow-headers", policy.headers);
    exchange.putHeader("access-control-max-age", policy.maxAge);
  }

  return (route) => (route === undefined ? { enter } : undefined);
}

// The router is only asked whether it finds something.
function unused(): void {}
