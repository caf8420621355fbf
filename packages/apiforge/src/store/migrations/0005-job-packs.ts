import type { Migration } from "../contract.ts";

/**
 * Packs of jobs. On SQLite, jobs of one kind that one commit enqueues are one row, from the first
 * of their numbers on: `taken` of them were handed out, `unended` have not ended, and for `kept` the
 * pack still speaks. A lease and an end stand for a run of them each; an end without an instant
 * means that they have left the pack: for a row of `forge_jobs`, or swept. A row each would cost
 * fifteen times as much (docs/adr/0012). PostgreSQL, where many processes claim, has its own (0006).
 */
export const jobPacks: Migration = {
  name: "apiforge-0005-job-packs",
  sqlite: `
    create table forge_job_packs (
      n integer primary key,
      queue text not null,
      priority integer not null,
      count integer not null,
      type text not null,
      tenant text not null,
      max_attempts integer not null,
      request_id text not null,
      created_at integer not null,
      first_id text not null,
      last_id text not null,
      taken integer not null default 0,
      unended integer not null,
      kept integer not null
    );
    create index forge_job_packs_ready on forge_job_packs (queue, priority, n) where taken < count;
    create index forge_job_packs_unended on forge_job_packs (n) where unended > 0;
    create index forge_job_packs_id on forge_job_packs (last_id, first_id);

    create table forge_pack_items (
      n integer primary key,
      jobs text not null
    );

    create table forge_pack_leases (
      n integer primary key,
      last_n integer not null,
      owner text not null
    );
    create index forge_pack_leases_owner on forge_pack_leases (owner);

    create table forge_pack_ends (
      n integer primary key,
      last_n integer not null,
      finished_at integer
    );
    create index forge_pack_ends_finished on forge_pack_ends (finished_at)
      where finished_at is not null;
  `,
  postgres: "select 1",
};
