export {
  findPostgresBinaries,
  npmPostgres,
  systemPostgres,
  type PostgresBinaries,
} from "./binaries.ts";
export { createDatabase, type TestDatabase } from "./database.ts";
export { startPostgres, type PostgresOptions, type PostgresServer } from "./server.ts";
export { testPostgres, type TestPostgres } from "./test-postgres.ts";
