import type { Clock } from "../../kernel/index.ts";
import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { addToList } from "../list-header.ts";
import type { Outgoing } from "../outgoing.ts";
import type { Stage, Steps } from "../stage.ts";
import type { Route } from "../route.ts";
import type { Deprecation } from "../versions/deprecation.ts";
import type { UsageBook } from "../versions/usage-book.ts";

/**
 * The stage that tells callers of a deprecated route so, on every answer and errors too, refuses them
 * after its sunset, and counts who they are.
 */
export function version(clock: Clock, usage: UsageBook | undefined): Stage {
  return function versionOf(route) {
    if (route?.deprecated === undefined) return undefined;
    return steps(route, route.deprecated, clock, usage);
  };
}

function steps(
  route: Route,
  deprecated: Deprecation,
  clock: Clock,
  usage: UsageBook | undefined,
): Steps {
  const { endsAt, sunset } = deprecated;
  const leave = (exchange: Exchange, answer: Outgoing) => {
    usage?.count(route, exchange);
    return announce(deprecated, exchange, answer);
  };
  if (endsAt === undefined) return { leave };
  return {
    enter() {
      if (clock.now() < endsAt) return;
      throw edgeError("version_sunset", `This version ended on ${sunset}`);
    },
    leave,
  };
}

function announce(
  { deprecation, sunset, links }: Deprecation,
  exchange: Exchange,
  answer: Outgoing,
): Outgoing {
  exchange.setHeader("deprecation", deprecation);
  if (sunset !== undefined) exchange.setHeader("sunset", sunset);
  return links === undefined ? answer : addToList(exchange, answer, "link", links);
}
