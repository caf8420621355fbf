import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { Stage } from "../stage.ts";

/** How many requests a server has at work at most. */
export interface LoadLimit {
  /** Of all declared routes together, in this process. */
  readonly maxInFlight: number;
  /** How many of them only routes that are `critical` may take; default 0. */
  readonly reserved?: number;
}

/**
 * The stage that refuses what is above `limit`, before the token is looked at and the body is read.
 * Routes that are not critical may take what is not reserved, so that others never fill the server
 * for critical ones. What no declared route answers, such as health, is neither counted nor refused.
 * @throws {TypeError} for a reserve that leaves nothing to routes that are not critical.
 */
export function shedLoad(limit: LoadLimit | undefined): Stage {
  if (limit === undefined) return () => undefined;
  const { maxInFlight, reserved = 0 } = limit;
  if (!Number.isInteger(maxInFlight) || !Number.isInteger(reserved)) {
    throw new TypeError("load: maxInFlight and reserved are whole numbers");
  }
  if (reserved < 0 || maxInFlight <= reserved) {
    throw new TypeError("load: maxInFlight is greater than reserved, and reserved at least 0");
  }
  let critical = 0;
  let others = 0;
  const enterCritical = ({ reply }: Exchange): void => {
    if (critical + others >= maxInFlight) refuse();
    critical++;
    reply.raw.once("close", () => void critical--);
  };
  const enterOther = ({ reply }: Exchange): void => {
    // What critical routes use beyond their reserve is missing to the others.
    if (others + Math.max(critical, reserved) >= maxInFlight) refuse();
    others++;
    reply.raw.once("close", () => void others--);
  };
  return function shedLoadOn(route) {
    if (route === undefined) return undefined;
    return { enter: route.critical ? enterCritical : enterOther };
  };
}

function refuse(): never {
  throw edgeError("overloaded", "The server has more to do than it can; try again shortly", {
    retryAfterSeconds: 1,
  });
}
