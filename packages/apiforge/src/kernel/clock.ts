/** A cancellable timer handle. */
export interface Timer {
  cancel(): void;
}

/**
 * The only source of time and delay. Everything that waits or stamps takes one, so that tests
 * move time by hand.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds since some instant of this process, which no correction of the clock moves; absent, {@link now} serves. */
  elapsed?(): number;
  /** Runs `callback` once after `delayMs`; a pending timer never keeps the process alive. */
  after(delayMs: number, callback: () => void): Timer;
}

// setTimeout fires at once for delays above 2^31-1 ms; longer waits are re-armed by their owners.
const longestDelayMs = 2_147_483_647;

// Not by its global name, which Node.js answers by a getter, at half the price of a reading.
const { performance } = globalThis;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(delayMs, callback) {
    const handle = setTimeout(callback, Math.min(Math.max(0, delayMs), longestDelayMs));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};
