import { defineMigration } from "apiforge";

/**
 * Tables of the bulk messages. Instants are epoch milliseconds; money is millionths of a dollar.
 *
 * - `message_spend`: what a tenant's messages of a month cost. `reserved` is promised to messages
 *   whose price is not known yet, `spent` was charged; the cap holds for their sum.
 * - `message_sends`: a message from just before it is sent, so that a crash cannot hide it.
 * - `message_reports`: what became of a batch's messages after Twilio had taken them.
 */
export const bulkMessageMigrations = [
  defineMigration("bulk-messages-0001", {
    sqlite: `
      create table message_spend (
        tenant text not null,
        month text not null,
        reserved_micros integer not null default 0,
        spent_micros integer not null default 0,
        alerted_percent integer not null default 0,
        primary key (tenant, month)
      ) without rowid;
      create table message_sends (
        message_key text not null primary key,
        tenant text not null,
        batch_id text not null,
        recipient text not null,
        sid text,
        status text not null,
        status_rank integer not null,
        error_code integer,
        month text not null,
        reserved_micros integer not null,
        price_micros integer,
        begun_at integer not null,
        updated_at integer not null
      ) without rowid;
      create unique index message_sends_by_sid on message_sends (sid) where sid is not null;
      create index message_sends_by_batch on message_sends (batch_id);
      create index message_sends_unpriced on message_sends (batch_id, message_key)
        where price_micros is null;
      create index message_sends_undelivered on message_sends (batch_id, message_key)
        where status in ('undelivered', 'failed');
      create table message_reports (
        batch_id text not null primary key,
        undelivered integer not null
      ) without rowid;
    `,
    postgres: `
      create table message_spend (
        tenant text not null,
        month text not null,
        reserved_micros bigint not null default 0,
        spent_micros bigint not null default 0,
        alerted_percent integer not null default 0,
        primary key (tenant, month)
      );
      create table message_sends (
        message_key text collate "C" not null primary key,
        tenant text not null,
        batch_id text collate "C" not null,
        recipient text not null,
        sid text collate "C",
        status text not null,
        status_rank integer not null,
        error_code integer,
        month text not null,
        reserved_micros bigint not null,
        price_micros bigint,
        begun_at bigint not null,
        updated_at bigint not null
      );
      create unique index message_sends_by_sid on message_sends (sid) where sid is not null;
      create index message_sends_by_batch on message_sends (batch_id);
      create index message_sends_unpriced on message_sends (batch_id, message_key)
        where price_micros is null;
      create index message_sends_undelivered on message_sends (batch_id, message_key)
        where status in ('undelivered', 'failed');
      create table message_reports (
        batch_id text collate "C" not null primary key,
        undelivered integer not null
      );
    `,
  }),
];
