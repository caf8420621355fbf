import { hasEmptyParam, type AllowedMethods } from "../allowed-methods.ts";
import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { plainAnswer } from "../outgoing.ts";
import type { Stage } from "../stage.ts";

/**
 * The stage that refuses what no route answers, before a body is read or a token is looked at:
 * 404 for an unknown path, 405 with `Allow` for a known one, 204 with `Allow` for OPTIONS.
 */
export function refuseUnrouted(allowedMethods: AllowedMethods): Stage {
  function refuse(exchange: Exchange): void {
    const { method, url } = exchange.request;
    const allowed = allowedMethods(url);
    if (allowed.length === 0) throw edgeError("route_not_found", "No route answers this path");
    exchange.setHeader("allow", allowed.join(", "));
    if (method !== "OPTIONS") {
      throw edgeError("method_not_allowed", `This path answers ${allowed.join(", ")}`);
    }
    exchange.answer = plainAnswer(204);
  }

  function enterUnrouted(exchange: Exchange): void {
    // Paths of the server itself, such as /health/live, are no declared routes.
    if (exchange.request.is404) refuse(exchange);
  }

  function enterWithParams(exchange: Exchange): void {
    if (hasEmptyParam(exchange.request.params)) refuse(exchange);
  }

  return function routeOf(route) {
    if (route === undefined) return { enter: enterUnrouted };
    return route.path.includes(":") ? { enter: enterWithParams } : undefined;
  };
}
