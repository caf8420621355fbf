import type { Migration } from "../contract.ts";

/**
 * The tables of one request, one commit. Instants are epoch milliseconds. Job states: 0 scheduled,
 * 1 ready, 2 running, 3 completed, 4 dead; a row is in at most one of the partial indexes, so
 * waiting, delayed and finished jobs never make claiming slower.
 */
export const core: Migration = {
  name: "apiforge-0001-core",
  sqlite: `
    create table forge_idempotency (
      n integer primary key,
      digest blob not null,
      fingerprint blob not null,
      idempotency_key text not null,
      status integer not null,
      headers text not null,
      body text not null,
      seq integer not null,
      created_at integer not null
    );
    create unique index forge_idempotency_digest on forge_idempotency (digest);

    create table forge_events (
      seq integer primary key autoincrement,
      id text not null,
      type text not null,
      tenant text not null,
      data text not null,
      request_id text not null,
      created_at integer not null
    );

    create table forge_consumers (
      name text primary key,
      cursor integer not null
    ) without rowid;

    create table forge_workers (
      owner text primary key,
      heartbeat_at integer not null
    ) without rowid;

    create table forge_jobs (
      n integer primary key,
      id text not null,
      queue text not null,
      type text not null,
      tenant text not null,
      payload text not null,
      state integer not null,
      priority integer not null,
      run_at integer not null,
      attempt integer not null default 0,
      max_attempts integer not null,
      fence integer not null default 0,
      deaths integer not null default 0,
      lease_owner text,
      dedupe_key text,
      request_id text not null,
      created_at integer not null,
      finished_at integer,
      last_error text
    );
    create unique index forge_jobs_id on forge_jobs (id);
    create index forge_jobs_scheduled on forge_jobs (run_at) where state = 0;
    create index forge_jobs_ready on forge_jobs (queue, priority, n) where state = 1;
    create index forge_jobs_running on forge_jobs (lease_owner) where state = 2;
    create index forge_jobs_completed on forge_jobs (finished_at) where state = 3;
    create index forge_jobs_dead on forge_jobs (n) where state = 4;
    create unique index forge_jobs_dedupe on forge_jobs (type, dedupe_key)
      where dedupe_key is not null and state < 3;
  `,
  postgres: `
    -- The one clock of all nodes. Tests replace it to move time.
    create function forge_now() returns bigint language sql volatile
      as $$ select (extract(epoch from clock_timestamp()) * 1000)::bigint $$;

    create table forge_idempotency (
      n bigint generated always as identity primary key,
      digest bytea not null,
      fingerprint bytea not null,
      idempotency_key text not null,
      status integer not null,
      headers text not null,
      body text not null,
      seq bigint not null,
      created_at bigint not null
    );
    create unique index forge_idempotency_digest on forge_idempotency (digest);

    -- Without cache, which would let a session keep numbers back that readers then wait for.
    create sequence forge_event_seq cache 1;
    create table forge_events (
      seq bigint primary key,
      id text not null,
      type text not null,
      tenant text not null,
      data text not null,
      request_id text not null,
      created_at bigint not null
    );

    create table forge_consumers (
      name text primary key,
      cursor bigint not null
    );

    create table forge_workers (
      owner text primary key,
      heartbeat_at bigint not null
    );

    create table forge_jobs (
      n bigint generated always as identity primary key,
      id text not null,
      queue text not null,
      type text not null,
      tenant text not null,
      payload text not null,
      state smallint not null,
      priority integer not null,
      run_at bigint not null,
      attempt integer not null default 0,
      max_attempts integer not null,
      fence bigint not null default 0,
      deaths integer not null default 0,
      lease_owner text,
      dedupe_key text,
      request_id text not null,
      created_at bigint not null,
      finished_at bigint,
      last_error text
    ) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);
    create unique index forge_jobs_id on forge_jobs (id);
    create index forge_jobs_scheduled on forge_jobs (run_at) where state = 0;
    create index forge_jobs_ready on forge_jobs (queue, priority, n) where state = 1;
    create index forge_jobs_running on forge_jobs (lease_owner) where state = 2;
    create index forge_jobs_completed on forge_jobs (finished_at) where state = 3;
    create index forge_jobs_dead on forge_jobs (n) where state = 4;
    create unique index forge_jobs_dedupe on forge_jobs (type, dedupe_key)
      where dedupe_key is not null and state < 3;
  `,
};
