import type { Clock } from "../../src/kernel/index.ts";

/** A clock whose timers run when the test says so. */
export interface ManualClock extends Clock {
  /** Timers that have neither run nor been cancelled. */
  readonly pending: number;
  /** Runs every pending timer, whatever its delay. */
  expire(): void;
}

export function manualClock(nowMs = 0): ManualClock {
  const timers = new Set<() => void>();
  return {
    now: () => nowMs,
    after(_delayMs, callback) {
      timers.add(callback);
      return { cancel: () => timers.delete(callback) };
    },
    get pending() {
      return timers.size;
    },
    expire() {
      const due = [...timers];
      timers.clear();
      for (const callback of due) callback();
    },
  };
}
