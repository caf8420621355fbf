import type { Migration } from "../contract.ts";

const column = "alter table forge_upstream_calls add column freed integer;";

/**
 * `freed` is the `fence` of the call that somebody found to have done nothing: while both are equal an
 * unknown call's key is free. To servers of the previous version it is unknown.
 */
export const upstreamCallSettlements: Migration = {
  name: "apiforge-0027-upstream-call-settlements",
  sqlite: column,
  postgres: column,
};
