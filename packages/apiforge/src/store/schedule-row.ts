import type { Row } from "./contract.ts";
import {
  tickOutcomes,
  type LockedSchedule,
  type ScheduleState,
  type ScheduleStatus,
  type TickOutcome,
  type TickRecord,
} from "./schedule-contract.ts";

/** The number under which an outcome is stored. */
export function outcomeNumber(outcome: TickOutcome): number {
  return tickOutcomes.indexOf(outcome);
}

/** What {@link LockedSchedule} tells, of the row that was locked. A row without an expression was never saved. */
export function toLockedSchedule(row: Row, nowMs: number, ticks: readonly Row[]): LockedSchedule {
  return {
    state: row["cron"] === null ? undefined : toState(row),
    nowMs,
    recorded: ticks.map((tick) => Number(tick["fire_at"])),
  };
}

/** A schedule's row with the store's time as `now_at`. */
export function toScheduleStatus(row: Row): ScheduleStatus {
  const state = toState(row);
  const { nextAt } = state;
  return {
    ...state,
    dueInMs: nextAt === null ? null : Math.max(0, nextAt - Number(row["now_at"])),
  };
}

/** A tick's row. */
export function toTickRecord(row: Row): TickRecord {
  const outcome = tickOutcomes[Number(row["outcome"])];
  if (outcome === undefined)
    throw new TypeError(`A tick has unknown outcome ${String(row["outcome"])}`);
  const jobId = row["job_id"];
  return {
    fireAt: Number(row["fire_at"]),
    outcome,
    jobId: typeof jobId === "string" ? jobId : null,
    recordedAt: Number(row["recorded_at"]),
  };
}

function toState(row: Row): ScheduleState {
  return {
    name: String(row["name"]),
    cron: String(row["cron"]),
    timeZone: String(row["time_zone"]),
    nextAt: row["next_at"] === null ? null : Number(row["next_at"]),
    isPaused: Number(row["paused"]) === 1,
  };
}
