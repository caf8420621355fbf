import { defineMigration } from "apiforge";

const tables = (instant: string, double: string): string => `
  create table stations (
    id text primary key,
    name text not null,
    line text not null,
    latitude ${double} not null,
    longitude ${double} not null
  );
  insert into stations (id, name, line, latitude, longitude) values
    ('sta_airport', 'Airport', 'blue', 51.5048, 0.0495),
    ('sta_castle', 'Castle', 'red', 51.5081, -0.0759),
    ('sta_harbour', 'Harbour', 'blue', 51.5072, -0.0224),
    ('sta_market', 'Market', 'red', 51.5123, -0.0907),
    ('sta_museum', 'Museum', 'red', 51.5194, -0.1270),
    ('sta_park', 'Park', 'blue', 51.5266, -0.1526);

  create table developers (
    id text primary key,
    email text not null unique,
    plan text not null,
    registered_at ${instant} not null
  );
  create table registration_addresses (
    email text primary key
  );
  create table registrations (
    id text primary key,
    email text not null,
    created_at ${instant} not null,
    expires_at ${instant} not null,
    used_at ${instant}
  );
  create index registrations_of_email on registrations (email, created_at);
  create table registration_codes (
    digest text primary key,
    registration_id text not null references registrations (id)
  );
`;

/** Stations, which everybody with a key reads, and the developers who have keys. Instants are epoch milliseconds. */
export const publicApiMigrations = [
  defineMigration("public-api-0001", {
    sqlite: tables("integer", "real"),
    postgres: tables("bigint", "double precision"),
  }),
];
