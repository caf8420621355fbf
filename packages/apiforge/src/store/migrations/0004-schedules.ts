import type { Migration } from "../contract.ts";

/**
 * Schedules and their ticks. The primary key of a tick is what makes it fire once, whoever tries.
 * Tick outcomes: 0 fired, 1 missed. A schedule without an expression is being added.
 */
export const schedules: Migration = {
  name: "apiforge-0004-schedules",
  sqlite: `
    create table forge_schedules (
      name text primary key,
      cron text,
      time_zone text,
      next_at integer,
      paused integer not null default 0
    ) without rowid;

    create table forge_schedule_ticks (
      schedule text not null,
      fire_at integer not null,
      outcome integer not null,
      job_id text,
      recorded_at integer not null,
      primary key (schedule, fire_at)
    ) without rowid;
    create index forge_schedule_ticks_recorded on forge_schedule_ticks (recorded_at);
  `,
  postgres: `
    create table forge_schedules (
      name text primary key,
      cron text,
      time_zone text,
      next_at bigint,
      paused smallint not null default 0
    ) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);

    create table forge_schedule_ticks (
      schedule text not null,
      fire_at bigint not null,
      outcome smallint not null,
      job_id text,
      recorded_at bigint not null,
      primary key (schedule, fire_at)
    );
    create index forge_schedule_ticks_recorded on forge_schedule_ticks (recorded_at);
  `,
};
