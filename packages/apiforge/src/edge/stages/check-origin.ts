import { allowedOrigin } from "../cors/policy.ts";
import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { Stage } from "../stage.ts";
import { asksForWebSocket } from "../upgrades.ts";
import type { PolicyOf } from "./cors.ts";

/**
 * The stage that refuses WebSockets to pages of origins that may not call the route: browsers open
 * them for any page, with the user's cookies, and ask no preflight (RFC 6455 section 10.2).
 */
export function checkOrigin(policyOf: PolicyOf): Stage {
  return function checkOriginOn(route) {
    if (route?.relay?.takesWebSockets !== true) return undefined;
    const policy = policyOf(route);
    return {
      enter({ request: { raw }, headers: { origin, host } }: Exchange): void {
        if (origin === undefined || !asksForWebSocket(raw) || isOwn(origin, host)) return;
        if (policy !== undefined && allowedOrigin(policy, origin) !== undefined) return;
        throw edgeError("origin_refused", "Pages of this origin may not open a WebSocket here");
      },
    };
  };
}

function isOwn(origin: string, host: string | undefined): boolean {
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}
