import type { Migration } from "../contract.ts";

/**
 * Calls of upstreams under idempotency keys; `state` is 1 (in flight until `until_at`), 2 (answered) or
 * 3 (unknown). `fence` counts how often the call was made. See docs/adr/0022.
 */
const table = (bytes: string, instant: string): string => `
    create table forge_upstream_calls (
      digest ${bytes} primary key,
      fingerprint ${bytes} not null,
      idempotency_key text not null,
      state integer not null,
      fence integer not null,
      until_at ${instant} not null,
      status integer,
      fields text,
      body ${bytes},
      created_at ${instant} not null
    );
    create index forge_upstream_calls_oldest on forge_upstream_calls (created_at);
  `;

/** What was asked of upstreams, before it was sent. */
export const upstreamCalls: Migration = {
  name: "apiforge-0020-upstream-calls",
  sqlite: table("blob", "integer"),
  postgres: table("bytea", "bigint"),
};
