import type { Migration } from "../contract.ts";

/**
 * What was purged from caches of upstreams' answers, numbered in the order of the commits, and the last number.
 */
export const cachePurges: Migration = {
  name: "apiforge-0019-cache-purges",
  sqlite: `
    create table forge_cache_epoch (
      n integer primary key,
      epoch integer not null
    );
    insert into forge_cache_epoch (n, epoch) values (1, 0);
    create table forge_cache_purges (
      epoch integer not null,
      n integer not null,
      cache text not null,
      kind text not null,
      value text not null,
      primary key (epoch, n)
    ) without rowid;
  `,
  postgres: `
    create table forge_cache_epoch (
      n smallint primary key,
      epoch bigint not null
    ) with (fillfactor = 50);
    insert into forge_cache_epoch (n, epoch) values (1, 0);
    create table forge_cache_purges (
      epoch bigint not null,
      n integer not null,
      cache text not null,
      kind text not null,
      value text not null,
      primary key (epoch, n)
    );
  `,
};
