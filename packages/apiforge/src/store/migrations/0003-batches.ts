import type { Migration } from "../contract.ts";

/**
 * Batches. Items are packed: a chunk is one row with hundreds of items, and its outcomes are
 * another, so that recording one does not write the other again. Batch states: 0 accepting,
 * 1 queued, 2 in_progress, 3 completed, 4 failed, 5 cancelled.
 */
export const batches: Migration = {
  name: "apiforge-0003-batches",
  sqlite: `
    create table forge_batches (
      n integer primary key,
      id text not null,
      type text not null,
      tenant text not null,
      owner text not null default '',
      state integer not null default 0,
      total integer not null default 0,
      succeeded integer not null default 0,
      failed integer not null default 0,
      cancelled integer not null default 0,
      chunks integer not null default 0,
      next_chunk integer not null default 0,
      closed_chunks integer not null default 0,
      created_at integer not null,
      updated_at integer not null,
      reported_at integer not null default 0,
      report_due integer not null default 0,
      started_at integer,
      cancelled_at integer,
      finished_at integer,
      expires_at integer,
      request_id text not null
    );
    create unique index forge_batches_id on forge_batches (id);
    create index forge_batches_accepting on forge_batches (n) where state = 0;
    create index forge_batches_expiring on forge_batches (expires_at) where expires_at is not null;

    create table forge_batch_chunks (
      n integer primary key,
      batch_id text not null,
      position integer not null,
      first_index integer not null,
      item_count integer not null,
      items text not null
    );
    create unique index forge_batch_chunks_position on forge_batch_chunks (batch_id, position);

    create table forge_batch_outcomes (
      n integer primary key,
      batch_id text not null,
      position integer not null,
      succeeded integer not null,
      failed integer not null,
      closed integer not null,
      outcomes text not null
    );
    create unique index forge_batch_outcomes_position on forge_batch_outcomes (batch_id, position);

    create table forge_rates (
      name text primary key,
      next_at real not null
    ) without rowid;
  `,
  postgres: `
    create table forge_batches (
      n bigint generated always as identity primary key,
      id text not null,
      type text not null,
      tenant text not null,
      owner text not null default '',
      state smallint not null default 0,
      total integer not null default 0,
      succeeded integer not null default 0,
      failed integer not null default 0,
      cancelled integer not null default 0,
      chunks integer not null default 0,
      next_chunk integer not null default 0,
      closed_chunks integer not null default 0,
      created_at bigint not null,
      updated_at bigint not null,
      reported_at bigint not null default 0,
      report_due smallint not null default 0,
      started_at bigint,
      cancelled_at bigint,
      finished_at bigint,
      expires_at bigint,
      request_id text not null
    ) with (fillfactor = 50);
    create unique index forge_batches_id on forge_batches (id);
    create index forge_batches_accepting on forge_batches (n) where state = 0;
    create index forge_batches_expiring on forge_batches (expires_at) where expires_at is not null;

    create table forge_batch_chunks (
      n bigint generated always as identity primary key,
      batch_id text not null,
      position integer not null,
      first_index integer not null,
      item_count integer not null,
      items text not null
    );
    create unique index forge_batch_chunks_position on forge_batch_chunks (batch_id, position);

    create table forge_batch_outcomes (
      n bigint generated always as identity primary key,
      batch_id text not null,
      position integer not null,
      succeeded integer not null,
      failed integer not null,
      closed smallint not null,
      outcomes text not null
    );
    create unique index forge_batch_outcomes_position on forge_batch_outcomes (batch_id, position);

    create table forge_rates (
      name text primary key,
      next_at double precision not null
    ) with (fillfactor = 50);
  `,
};
