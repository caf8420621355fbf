import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type {
  LockedSchedule,
  NewTick,
  ScheduleState,
  ScheduleStatus,
  TickRecord,
} from "../schedule-contract.ts";
import {
  outcomeNumber,
  toLockedSchedule,
  toScheduleStatus,
  toTickRecord,
} from "../schedule-row.ts";
import type { SqliteConnection } from "./connection.ts";

/** Schedules and their ticks, as statements of the one writing connection. */
export class ScheduleTable {
  readonly #clock: Clock;
  readonly #add: StatementSync;
  readonly #find: StatementSync;
  readonly #recorded: StatementSync;
  readonly #save: StatementSync;
  readonly #record: StatementSync;
  readonly #list: StatementSync;
  readonly #ticks: StatementSync;
  readonly #sweep: StatementSync;

  constructor(connection: SqliteConnection, clock: Clock) {
    this.#clock = clock;
    this.#add = connection.prepare("insert or ignore into forge_schedules (name) values (?)");
    this.#find = connection.prepare("select * from forge_schedules where name = ?");
    this.#recorded = connection.prepare(
      `select fire_at from forge_schedule_ticks where schedule = ?1
         and fire_at >= (select next_at from forge_schedules where name = ?1)`,
    );
    this.#save = connection.prepare(
      "update forge_schedules set cron = ?, time_zone = ?, next_at = ?, paused = ? where name = ?",
    );
    this.#record = connection.prepare(
      `insert into forge_schedule_ticks (schedule, fire_at, outcome, job_id, recorded_at)
       values (?, ?, ?, ?, ?)`,
    );
    this.#list = connection.prepare(
      "select *, ? as now_at from forge_schedules where cron is not null order by name",
    );
    this.#ticks = connection.prepare(
      "select * from forge_schedule_ticks where schedule = ? order by fire_at desc limit ?",
    );
    this.#sweep = connection.prepare(
      `delete from forge_schedule_ticks where (schedule, fire_at) in
         (select schedule, fire_at from forge_schedule_ticks where recorded_at < ?
          order by recorded_at limit ?)`,
    );
  }

  lock(name: string): LockedSchedule {
    this.#add.run(name);
    return this.#locked(this.#find.get(name) ?? {}, name);
  }

  // Writers run one after another, so nobody else ever has it.
  tryLock(name: string): LockedSchedule | undefined {
    const row = this.#find.get(name);
    return row === undefined ? undefined : this.#locked(row, name);
  }

  save(state: ScheduleState, ticks: readonly NewTick[]): void {
    const { name, cron, timeZone, nextAt, isPaused } = state;
    const nowMs = this.#clock.now();
    for (const { fireAt, outcome, jobId } of ticks) {
      this.#record.run(name, fireAt, outcomeNumber(outcome), jobId, nowMs);
    }
    this.#save.run(cron, timeZone, nextAt, isPaused ? 1 : 0, name);
  }

  list(): readonly ScheduleStatus[] {
    return this.#list.all(this.#clock.now()).map(toScheduleStatus);
  }

  ticks(schedule: string, limit: number): readonly TickRecord[] {
    return this.#ticks.all(schedule, limit).map(toTickRecord);
  }

  sweepTicks(olderThanMs: number, limit: number): number {
    return Number(this.#sweep.run(this.#clock.now() - olderThanMs, limit).changes);
  }

  #locked(row: Parameters<typeof toLockedSchedule>[0], name: string): LockedSchedule {
    return toLockedSchedule(row, this.#clock.now(), this.#recorded.all(name));
  }
}
