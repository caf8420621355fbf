import { hash } from "node:crypto";

import type { Exchange } from "../edge/index.ts";
import type { Endpoint } from "./endpoint.ts";

/** `least-pending`: the endpoint with the least to do. `round-robin`: each in turn. `by`: requests of one key go to one endpoint while it is there. */
export type Balancing =
  | "least-pending"
  | "round-robin"
  | { readonly by: (exchange: Exchange) => string };

/** Chooses one of `candidates`, of which there is at least one. */
export type Choose = (candidates: readonly Endpoint[], exchange: Exchange) => Endpoint | undefined;

/** Makes the choice of an upstream. */
export function balancer(balancing: Balancing): Choose {
  if (typeof balancing === "object") {
    return (candidates, exchange) => byKey(candidates, balancing.by(exchange));
  }
  let turn = 0;
  return balancing === "least-pending"
    ? (candidates) => leastPending(candidates, turn++)
    : (candidates) => candidates[turn++ % candidates.length];
}

/** Begins elsewhere each time, so that the first one does not get all of a quiet time. */
function leastPending(candidates: readonly Endpoint[], turn: number): Endpoint | undefined {
  let best: Endpoint | undefined;
  for (let index = 0; index < candidates.length; index += 1) {
    const endpoint = candidates[(turn + index) % candidates.length];
    if (endpoint !== undefined && (best === undefined || endpoint.pending < best.pending)) {
      best = endpoint;
    }
  }
  return best;
}

/** Rendezvous hashing: when an endpoint goes, only the keys that it had move. */
function byKey(candidates: readonly Endpoint[], key: string): Endpoint | undefined {
  let best: Endpoint | undefined;
  let bestScore = "";
  for (const endpoint of candidates) {
    const score = hash("sha256", `${endpoint.url}\n${key}`);
    if (score > bestScore) {
      best = endpoint;
      bestScore = score;
    }
  }
  return best;
}
