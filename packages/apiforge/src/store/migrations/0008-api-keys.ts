import type { Migration } from "../contract.ts";

/**
 * API keys, by the digests of their present and of their previous secret, and the count of rights
 * that were taken away, by which every node knows what it must not remember.
 */
export const apiKeys: Migration = {
  name: "apiforge-0008-api-keys",
  sqlite: `
    create table forge_api_keys (
      id text primary key,
      tenant text not null,
      subject text not null,
      name text not null,
      mode text not null,
      digest blob not null unique,
      prefix text not null,
      last_four text not null,
      previous_digest blob unique,
      previous_last_four text,
      previous_expires_at integer,
      role text not null,
      scopes text not null,
      plan text,
      origins text,
      addresses text,
      created_by text not null,
      created_at integer not null,
      expires_at integer,
      revoked_at integer,
      last_used_at integer
    ) without rowid;
    create index forge_api_keys_tenant on forge_api_keys (tenant, id);

    create table forge_auth_epoch (
      n integer primary key,
      epoch integer not null
    );
    insert into forge_auth_epoch (n, epoch) values (1, 0);
  `,
  postgres: `
    create table forge_api_keys (
      id text collate "C" primary key,
      tenant text not null,
      subject text not null,
      name text not null,
      mode text not null,
      digest bytea not null unique,
      prefix text not null,
      last_four text not null,
      previous_digest bytea unique,
      previous_last_four text,
      previous_expires_at bigint,
      role text not null,
      scopes text not null,
      plan text,
      origins text,
      addresses text,
      created_by text not null,
      created_at bigint not null,
      expires_at bigint,
      revoked_at bigint,
      last_used_at bigint
    ) with (fillfactor = 80);
    create index forge_api_keys_tenant on forge_api_keys (tenant, id);

    create table forge_auth_epoch (
      n smallint primary key,
      epoch bigint not null
    ) with (fillfactor = 50);
    insert into forge_auth_epoch (n, epoch) values (1, 0);
  `,
};
