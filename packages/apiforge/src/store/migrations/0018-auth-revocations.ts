import type { Migration } from "../contract.ts";

/** The last revocation of each tenant, by which nodes tell whose callers they must verify anew. */
export const authRevocations: Migration = {
  name: "apiforge-0018-auth-revocations",
  sqlite: `
    create table forge_auth_revocations (
      tenant text primary key,
      epoch integer not null
    ) without rowid;
    create index forge_auth_revocations_epoch on forge_auth_revocations (epoch);
  `,
  postgres: `
    create table forge_auth_revocations (
      tenant text primary key,
      epoch bigint not null
    );
    create index forge_auth_revocations_epoch on forge_auth_revocations (epoch);
  `,
};
