import type { Migration } from "../contract.ts";

/** One row: the last event that was deleted, so that a reader who stands before it knows what it has missed. */
const table = (bigint: string): string => `
    create table forge_event_floor (
      one ${bigint} primary key check (one = 1),
      seq ${bigint} not null
    );
    insert into forge_event_floor (one, seq) values (1, 0);
  `;

/** How far the log has been swept. */
export const eventRetention: Migration = {
  name: "apiforge-0026-event-retention",
  sqlite: table("integer"),
  postgres: table("bigint"),
};
