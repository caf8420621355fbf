export { openPostgresReads } from "./reads.ts";
export { openPostgresStore, type PostgresStoreOptions } from "./store.ts";
