import type { Clock } from "../../kernel/index.ts";
import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { addToList } from "../list-header.ts";
import type { Outgoing } from "../outgoing.ts";
import type { Stage, Steps } from "../stage.ts";
import type { Deprecation } from "../versions/deprecation.ts";

/**
 * The stage that tells callers of a deprecated route so, on every answer and errors too, and refuses
 * them after its sunset.
 */
export function version(clock: Clock): Stage {
  return function versionOf(route) {
    return route?.deprecated === undefined ? undefined : steps(route.deprecated, clock);
  };
}

function steps(deprecated: Deprecation, clock: Clock): Steps {
  const { endsAt, sunset } = deprecated;
  const leave = (exchange: Exchange, answer: Outgoing) => announce(deprecated, exchange, answer);
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
