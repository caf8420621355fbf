import { setTimeout as delay } from "node:timers/promises";

import type { ProjectWriter } from "./project-writer.ts";

/** Clients at work. */
export interface Load {
  /** Lets each client have its last answer. */
  stop(): Promise<void>;
}

/**
 * Starts `clients` that create one project after the other, each until it is acknowledged, and wait
 * `thinkMs()` in between.
 */
export function startLoad(writer: ProjectWriter, clients: number, thinkMs?: () => number): Load {
  const stopping = new AbortController();
  async function work(): Promise<void> {
    while (!stopping.signal.aborted) {
      await writer.sendUntilAcknowledged();
      if (thinkMs !== undefined) await delay(thinkMs());
    }
  }
  const working = Promise.all(Array.from({ length: clients }, work));
  // A client that fails is reported by `stop`.
  working.catch(() => undefined);
  return {
    async stop() {
      stopping.abort();
      await working;
    },
  };
}
