import type { IncomingMessage } from "node:http";

import type { PhaseWatch, Waiting } from "./phases.ts";

/** How long a body may take to arrive; over HTTP/1.1 Node itself has this limit for all of a request. */
export const arrivalMs = 300_000;

/** Calls `late` when the body of a request over HTTP/2 has taken too long, which Node does not look after. */
export function limitArrival(request: IncomingMessage, watch: PhaseWatch, late: () => void): void {
  let isOver = false;
  const end = (): void => {
    if (!isOver) watch.delete(waiting);
    isOver = true;
  };
  const waiting: Waiting = {
    phase: "arrival",
    sinceAt: watch.clock.now(),
    place: 0,
    expire() {
      end();
      late();
    },
  };
  request.once("end", end).once("close", end);
  watch.add(waiting);
}
