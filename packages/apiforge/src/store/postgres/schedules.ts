import type {
  LockedSchedule,
  NewTick,
  ScheduleState,
  ScheduleStatus,
  ScheduleStore,
  TickRecord,
} from "../schedule-contract.ts";
import {
  outcomeNumber,
  toLockedSchedule,
  toScheduleStatus,
  toTickRecord,
} from "../schedule-row.ts";
import { command, type Command } from "./command.ts";
import type { ExecutionResult } from "./exchange.ts";
import { now } from "./job-statements.ts";
import type { ConnectionPool } from "./pool.ts";
import { rowsCommand, rowsStatement } from "./rows.ts";

const addText = "insert into forge_schedules (name) values ($1) on conflict (name) do nothing";
const lockText = "select * from forge_schedules where name = $1 for update";
const nowText = "select forge_now() as now_at";
const recordedText = `select fire_at from forge_schedule_ticks where schedule = $1
   and fire_at >= (select next_at from forge_schedules where name = $1)`;
const saveText =
  "update forge_schedules set cron = $1, time_zone = $2, next_at = $3, paused = $4 where name = $5";
const record = rowsStatement(
  ["text", "bigint", "smallint", "text"],
  (source) => `insert into forge_schedule_ticks (schedule, fire_at, outcome, job_id, recorded_at)
   select schedule, fire_at, outcome, job_id, forge_now()
   from ${source} as tick (schedule, fire_at, outcome, job_id)`,
);
const listText =
  "select *, forge_now() as now_at from forge_schedules where cron is not null order by name";
const ticksText =
  "select * from forge_schedule_ticks where schedule = $1 order by fire_at desc limit $2";
const sweepText = `delete from forge_schedule_ticks where (schedule, fire_at) in (
     select schedule, fire_at from forge_schedule_ticks where recorded_at < ${now} - $1::bigint
     order by recorded_at limit $2 for update skip locked)`;

/** Locks a schedule, once nobody else has it, and adds it where it is missing. */
export function lockSchedule(name: string): readonly Command[] {
  return [command(addText, name), ...locking(lockText, name)];
}

/** Locks a schedule; answers no row when there is none, or another transaction has it. */
export function tryLockSchedule(name: string): readonly Command[] {
  return locking(`${lockText} skip locked`, name);
}

/** Saves a locked schedule with the ticks that it has dealt with. */
export function saveSchedule(state: ScheduleState, ticks: readonly NewTick[]): readonly Command[] {
  const { name, cron, timeZone, nextAt, isPaused } = state;
  const rows = ticks.map(({ fireAt, outcome, jobId }) => [
    name,
    fireAt,
    outcomeNumber(outcome),
    jobId,
  ]);
  return [
    ...(rows.length > 0 ? [rowsCommand(record, rows)] : []),
    command(saveText, cron, timeZone, nextAt, isPaused ? 1 : 0, name),
  ];
}

/** What {@link lockSchedule} or {@link tryLockSchedule} answered. */
export function toLocked(results: readonly ExecutionResult[]): LockedSchedule | undefined {
  const [locked, time, ticks] = results.slice(-3);
  const row = locked?.rows[0];
  if (row === undefined) return undefined;
  return toLockedSchedule(row, Number(time?.rows[0]?.["now_at"]), ticks?.rows ?? []);
}

// Each statement sees what was committed before it, so what comes after the lock is up to date.
function locking(text: string, name: string): readonly Command[] {
  return [command(text, name), command(nowText), command(recordedText, name)];
}

/** Schedules outside of transactions. */
export class ScheduleTable implements ScheduleStore {
  readonly #pool: ConnectionPool;

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  async list(): Promise<readonly ScheduleStatus[]> {
    const [result] = await this.#pool.run("list schedules", [command(listText)]);
    return result?.rows.map(toScheduleStatus) ?? [];
  }

  async ticks(schedule: string, limit: number): Promise<readonly TickRecord[]> {
    const [result] = await this.#pool.run("list ticks", [command(ticksText, schedule, limit)]);
    return result?.rows.map(toTickRecord) ?? [];
  }

  async sweepTicks(olderThanMs: number, limit: number): Promise<number> {
    const [swept] = await this.#pool.run("sweep ticks", [command(sweepText, olderThanMs, limit)]);
    return swept?.changes ?? 0;
  }
}
