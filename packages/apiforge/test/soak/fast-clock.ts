import { systemClock, type Clock } from "../../src/kernel/index.ts";

/** A clock on which `factor` seconds pass in each second, so that a minute has an hour's sweeps. */
export function fastClock(factor: number): Clock {
  const startedAt = systemClock.now();
  return {
    now: () => Math.floor(startedAt + (systemClock.now() - startedAt) * factor),
    after: (delayMs, callback) => systemClock.after(delayMs / factor, callback),
  };
}
