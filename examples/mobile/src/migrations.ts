import { defineMigration } from "apiforge";

const tables = (instant: string, idType: string): string => `
  create table mobile_users (
    id text primary key,
    phone text not null unique
  );
  create table mobile_phones (
    phone text primary key
  );
  create table mobile_log_ins (
    id text primary key,
    phone text not null,
    tries integer not null,
    created_at ${instant} not null,
    expires_at ${instant} not null,
    used_at ${instant}
  );
  create index mobile_log_ins_of_phone on mobile_log_ins (phone, created_at);
  create table mobile_log_in_codes (
    log_in_id text not null references mobile_log_ins (id),
    digest text not null,
    primary key (log_in_id, digest)
  );

  create table mobile_dishes (
    id text primary key,
    name text not null,
    price_cents integer not null,
    cost_cents integer not null
  );
  insert into mobile_dishes (id, name, price_cents, cost_cents) values
    ('dish_curry', 'Green curry', 1250, 410),
    ('dish_pizza', 'Pizza with figs', 1180, 360),
    ('dish_ramen', 'Ramen', 1390, 450);

  create table mobile_profiles (
    tenant text not null primary key,
    name text not null
  );
  create table mobile_orders (
    tenant text not null,
    id ${idType} not null,
    dish text not null,
    quantity integer not null,
    total_cents integer not null,
    note text not null,
    placed_at ${instant} not null,
    primary key (tenant, id)
  );
  create table mobile_notices (
    tenant text not null,
    seq ${instant} not null,
    text text not null,
    created_at ${instant} not null,
    primary key (tenant, seq)
  );
`;

/** Users with their log-ins, the menu, and what belongs to each user, who is a tenant. Instants are epoch milliseconds. */
export const mobileMigrations = [
  defineMigration("mobile-0001", {
    sqlite: tables("integer", "text"),
    postgres: tables("bigint", `text collate "C"`),
    tenantTables: ["mobile_profiles", "mobile_orders", "mobile_notices"],
  }),
];
