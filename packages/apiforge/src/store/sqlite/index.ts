export { openSqliteReads } from "./reads.ts";
export { openSqliteStore, type SqliteStoreOptions } from "./store.ts";
