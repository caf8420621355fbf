import type { Migration } from "../contract.ts";

/**
 * Lanes, pauses, deadlines and cancellation. New job states: -1 waiting (for its lane) and 5
 * cancelled; states below 3 are live, as the index of dedupe keys has it. A keyed job is never in
 * the ready index: it waits in `forge_jobs_lane`, and its lane's row decides.
 */
export const jobControl: Migration = {
  name: "apiforge-0002-job-control",
  sqlite: `
    alter table forge_jobs add column lane text;
    alter table forge_jobs add column ordered integer not null default 0;
    alter table forge_jobs add column deadline_at integer;
    alter table forge_jobs add column cancel_at integer;

    drop index forge_jobs_ready;
    create index forge_jobs_ready on forge_jobs (queue, deaths, priority, n) where state = 1;
    drop index forge_jobs_completed;
    create index forge_jobs_ended on forge_jobs (finished_at) where state in (3, 5);
    create index forge_jobs_lane on forge_jobs (queue, lane, state, priority, n)
      where lane is not null;
    create index forge_jobs_deadline on forge_jobs (deadline_at)
      where deadline_at is not null and state < 2;

    create table forge_lanes (
      queue text not null,
      key text not null,
      concurrency integer not null,
      spacing_us integer not null,
      running integer not null default 0,
      waiting integer not null default 0,
      next_at_us integer not null default 0,
      resting integer not null default 0,
      paused_at integer,
      turn integer not null,
      primary key (queue, key)
    ) without rowid;
    create index forge_lanes_open on forge_lanes (queue, turn)
      where waiting > 0 and running < concurrency and resting = 0 and paused_at is null;
    create index forge_lanes_resting on forge_lanes (next_at_us) where resting = 1;
    create index forge_lanes_paused on forge_lanes (paused_at) where paused_at is not null;

    create table forge_paused_queues (
      queue text primary key,
      paused_at integer not null
    ) without rowid;
  `,
  postgres: `
    alter table forge_jobs add column lane text;
    alter table forge_jobs add column ordered smallint not null default 0;
    alter table forge_jobs add column deadline_at bigint;
    alter table forge_jobs add column cancel_at bigint;

    drop index forge_jobs_ready;
    create index forge_jobs_ready on forge_jobs (queue, deaths, priority, n) where state = 1;
    drop index forge_jobs_completed;
    create index forge_jobs_ended on forge_jobs (finished_at) where state in (3, 5);
    create index forge_jobs_lane on forge_jobs (queue, lane, state, priority, n)
      where lane is not null;
    create index forge_jobs_deadline on forge_jobs (deadline_at)
      where deadline_at is not null and state < 2;

    create sequence forge_lane_turns;
    create table forge_lanes (
      queue text not null,
      key text not null,
      concurrency integer not null,
      spacing_us bigint not null,
      running integer not null default 0,
      waiting integer not null default 0,
      next_at_us bigint not null default 0,
      resting smallint not null default 0,
      paused_at bigint,
      turn bigint not null default nextval('forge_lane_turns'),
      primary key (queue, key)
    ) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);
    create index forge_lanes_open on forge_lanes (queue, turn)
      where waiting > 0 and running < concurrency and resting = 0 and paused_at is null;
    create index forge_lanes_resting on forge_lanes (next_at_us) where resting = 1;
    create index forge_lanes_paused on forge_lanes (paused_at) where paused_at is not null;

    create table forge_paused_queues (
      queue text primary key,
      paused_at bigint not null
    );
  `,
};
