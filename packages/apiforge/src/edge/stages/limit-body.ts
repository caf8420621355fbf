import type { BodyDeadline } from "../body-deadline.ts";
import { BatchBody } from "../body/batch-body.ts";
import { takesRawBody } from "../route.ts";
import type { Stage } from "../stage.ts";

/** The stage that gives a body its time to arrive. */
export function limitBody(deadline: BodyDeadline): Stage {
  return function limitBodyOn(route) {
    if (route === undefined || route.method === "GET") return undefined;
    if (route.body instanceof BatchBody || takesRawBody(route)) return undefined;
    return { enter: (exchange) => deadline.begin(exchange.request.raw) };
  };
}
