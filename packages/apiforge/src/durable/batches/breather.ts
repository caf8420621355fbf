import { setImmediate as nextTurn } from "node:timers/promises";

/** Longest time that items without a wait keep the event loop. */
const busyMs = 2;

/**
 * Lets requests in between the items of all chunks of this process: items that wait for nothing
 * would keep the event loop to themselves.
 */
export class Breather {
  #turnBeganAt = performance.now();

  /** Undefined while there is time; else resolves in another turn of the event loop. */
  breathe(): Promise<void> | undefined {
    if (performance.now() - this.#turnBeganAt < busyMs) return undefined;
    return this.#nextTurn();
  }

  async #nextTurn(): Promise<void> {
    await nextTurn();
    // Whoever else waited goes on in the same turn, and shares its time.
    if (performance.now() - this.#turnBeganAt >= busyMs) this.#turnBeganAt = performance.now();
  }
}
