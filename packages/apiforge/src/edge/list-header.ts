import type { Exchange } from "./exchange.ts";
import type { Outgoing } from "./outgoing.ts";

/**
 * Adds a member to a header that is a list, such as `Vary`, without taking away what the answer or
 * an earlier stage has put there. Name, in lower case, and member are known to be sound. Answers the
 * answer to send on.
 */
export function addToList(
  exchange: Exchange,
  outgoing: Outgoing,
  name: string,
  member: string,
): Outgoing {
  const { answer } = outgoing;
  const ofAnswer = answer.headers[name];
  if (ofAnswer !== undefined) {
    const headers = { ...answer.headers, [name]: `${ofAnswer}, ${member}` };
    return { ...outgoing, answer: { ...answer, headers } };
  }
  const earlier = exchange.headerOf(name);
  exchange.putHeader(name, earlier === undefined ? member : `${earlier}, ${member}`);
  return outgoing;
}
