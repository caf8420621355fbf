import type { Migration } from "../contract.ts";

/**
 * Packs of jobs on PostgreSQL. Jobs of one kind that one commit enqueues are one row: `taken` of its
 * `count` jobs were handed out. A lease stands for the run of jobs that one claim took, an end for a
 * run that completed together; an end without an instant is that of a job whose row was swept. A job
 * with a row in `forge_jobs` has left its pack, and only the row counts (docs/adr/0013).
 *
 * Every number of the sequence is the first of a block of 512: a row uses that one, a pack up to
 * 500 of them, so that rows and packs have one order of insertion.
 */
export const jobPacksPostgres: Migration = {
  name: "apiforge-0006-job-packs-postgres",
  sqlite: "select 1",
  postgres: `
    alter table forge_jobs alter column n set increment by 512;
    alter table forge_jobs add column pack bigint;

    create table forge_job_packs (
      n bigint primary key,
      queue text not null,
      priority integer not null,
      count integer not null,
      type text not null,
      tenant text not null,
      max_attempts integer not null,
      request_id text not null,
      created_at bigint not null,
      first_id text collate "C" not null,
      last_id text collate "C" not null,
      taken integer not null default 0,
      jobs text not null
    ) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);
    create index forge_job_packs_ready on forge_job_packs (queue, priority, n) where taken < count;
    create index forge_job_packs_id on forge_job_packs (last_id, first_id);

    create table forge_pack_leases (
      n bigint primary key,
      last_n bigint not null,
      pack bigint not null,
      owner text not null,
      token bigint not null,
      unended integer not null
    ) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
    create index forge_pack_leases_owner on forge_pack_leases (owner);

    create table forge_pack_ends (
      n bigint primary key,
      last_n bigint not null,
      pack bigint not null,
      finished_at bigint
    );
    create index forge_pack_ends_finished on forge_pack_ends (finished_at)
      where finished_at is not null;
  `,
};
