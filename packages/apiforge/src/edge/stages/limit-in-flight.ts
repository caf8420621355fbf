import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { InFlight } from "../limits/in-flight.ts";
import { subjectOf } from "../limits/subject.ts";
import type { Route } from "../route.ts";
import type { Steps } from "../stage.ts";

/** The stage that keeps one caller from having more than a few requests of a route at work at once. */
export function limitInFlight(route: Route | undefined): Steps | undefined {
  if (route?.maxInFlight === undefined) return undefined;
  const inFlight = new InFlight(route.maxInFlight);
  const by = route.auth === "none" ? "address" : "principal";
  return { enter: (exchange) => enter(inFlight, subjectOf(by, exchange) ?? "", exchange) };
}

function enter(inFlight: InFlight, subject: string, { reply }: Exchange): void {
  if (!inFlight.enter(subject)) {
    throw edgeError(
      "too_many_in_flight",
      "You have as many requests at work here as you may; wait for one to end",
    );
  }
  // Also when the client goes before its answer; a streamed answer is at work until its end.
  reply.raw.once("close", () => inFlight.leave(subject));
}
