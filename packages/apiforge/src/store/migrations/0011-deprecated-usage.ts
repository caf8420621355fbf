import type { Migration } from "../contract.ts";

/** Who called what is deprecated: one row for each route, caller and day (in UTC, days since the epoch). */
export const deprecatedUsage: Migration = {
  name: "apiforge-0011-deprecated-usage",
  sqlite: `
    create table forge_deprecated_usage (
      route text not null,
      tenant text not null,
      consumer text not null,
      day integer not null,
      requests integer not null,
      last_at integer not null,
      primary key (route, tenant, consumer, day)
    ) without rowid;
  `,
  postgres: `
    create table forge_deprecated_usage (
      route text not null,
      tenant text not null,
      consumer text not null,
      day integer not null,
      requests bigint not null,
      last_at bigint not null,
      primary key (route, tenant, consumer, day)
    );
  `,
};
