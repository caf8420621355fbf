import type { TickOutcome } from "../../store/index.ts";
import type { CronTimes } from "./cron.ts";

/** Most ticks that one commit deals with: finding them takes a few milliseconds. */
const planTicks = 50;

/** By what ticks are told apart that fire and that are missed. */
export interface TickPolicy {
  /** Late ticks that fire all the same, the latest ones. */
  readonly catchUp: number;
  /** How late a tick counts as on time. */
  readonly graceMs: number;
  readonly isPaused: boolean;
}

/** What becomes of one due tick. */
export interface PlannedTick {
  readonly fireAt: number;
  readonly outcome: TickOutcome;
}

/** What one commit does about a schedule. */
export interface TickPlan {
  /** Due ticks, first first. */
  readonly ticks: readonly PlannedTick[];
  /** The first tick after them; null when there is none. */
  readonly nextAt: number | null;
  /** False when `nextAt` is due as well. */
  readonly isComplete: boolean;
}

/** Decides on the ticks from `nextAt` to `nowMs`. Every one of them is fired or missed. */
export function planDueTicks(
  times: CronTimes,
  nextAt: number | null,
  nowMs: number,
  policy: TickPolicy,
): TickPlan {
  const due: number[] = [];
  let next = nextAt;
  while (next !== null && next <= nowMs && due.length < planTicks) {
    due.push(next);
    next = times.after(next);
  }
  const firesFrom = firstFired(times, due[0] ?? nowMs, nowMs, policy);
  return {
    ticks: due.map((fireAt) => ({ fireAt, outcome: fireAt >= firesFrom ? "fired" : "missed" })),
    nextAt: next,
    isComplete: next === null || next > nowMs,
  };
}

function firstFired(
  times: CronTimes,
  firstDueAt: number,
  nowMs: number,
  { catchUp, graceMs, isPaused }: TickPolicy,
): number {
  if (isPaused) return Number.POSITIVE_INFINITY;
  const onTimeFrom = nowMs - graceMs;
  if (catchUp === 0 || firstDueAt >= onTimeFrom) return onTimeFrom;
  return Math.min(onTimeFrom, times.latest(catchUp, nowMs).at(-1) ?? onTimeFrom);
}
