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
  function enter(exchange: Exchange): void {
    const { request } = exchange;
    if (!request.is404 && !hasEmptyParam(request.params)) return;
    const allowed = allowedMethods(request.url);
    if (allowed.length === 0) throw edgeError("route_not_found", "No route answers this path");
    exchange.setHeader("allow", allowed.join(", "));
    if (request.method !== "OPTIONS") {
      throw edgeError("method_not_allowed", `This path answers ${allowed.join(", ")}`);
    }
    exchange.answer = plainAnswer(204);
  }
  return () => ({ enter });
}
