import type { Migration } from "../contract.ts";

/**
 * What the deployment's own tokens are made of. A session is one row however often its refresh token
 * is exchanged: `generation` says which one holds, `seed` (with the deployment's secret) what it is.
 * Lists (`scopes`) are texts separated by spaces; `certificate` is an x5t#S256 thumbprint. Keys of
 * private parts are sealed with the deployment's secret.
 */
const tables = (instant: string): string => `
    create table forge_signing_keys (
      kid text primary key,
      public_jwk text not null,
      sealed_private text not null,
      signs_from_at ${instant} not null,
      signs_until_at ${instant} not null
    );

    create table forge_oauth_clients (
      id text primary key,
      name text not null,
      tenant text not null,
      role text not null,
      scopes text not null,
      secret_digest text,
      previous_digest text,
      previous_until_at ${instant},
      certificate text,
      created_at ${instant} not null,
      disabled_at ${instant}
    );

    create table forge_sessions (
      id text primary key,
      tenant text not null,
      subject text not null,
      role text not null,
      email text,
      scopes text not null,
      client_id text,
      certificate text,
      seed text not null,
      generation integer not null,
      created_at ${instant} not null,
      rotated_at ${instant} not null,
      idle_until_at ${instant} not null,
      expires_at ${instant} not null,
      ended_at ${instant},
      end_reason text
    );
    create index forge_sessions_subject on forge_sessions (tenant, subject);
    create index forge_sessions_idle on forge_sessions (idle_until_at);
  `;

export const tokens: Migration = {
  name: "apiforge-0010-tokens",
  sqlite: tables("integer"),
  postgres: tables("bigint"),
};
