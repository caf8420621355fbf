import { join } from "node:path";

import type { Log } from "../kernel/index.ts";
import type { Migration, Store, StoreReads } from "../store/index.ts";
import type { Config } from "./config.ts";

/** Opens the store that the configuration asks for; the other one's code is not even loaded. */
export async function openStore(
  config: Config,
  migrations: readonly Migration[],
  log: Log,
): Promise<Store> {
  const { databaseUrl, databasePool, dataDir, transactionLimitMs } = config;
  const options = { migrations, transactionLimitMs, log };
  if (databaseUrl === undefined) {
    const { openSqliteStore } = await import("../store/sqlite/index.ts");
    return openSqliteStore({ ...options, path: join(dataDir, "apiforge.db") });
  }
  const { openPostgresStore } = await import("../store/postgres/index.ts");
  return openPostgresStore({ ...options, url: databaseUrl, poolSize: databasePool });
}

/** Opens the configured store to read it beside a server; each read may take `limitMs`. */
export async function openReads(
  { databaseUrl, dataDir }: Config,
  limitMs: number,
  log: Log,
): Promise<StoreReads> {
  const options = { transactionLimitMs: limitMs, log };
  if (databaseUrl === undefined) {
    const { openSqliteReads } = await import("../store/sqlite/index.ts");
    return openSqliteReads({ ...options, path: join(dataDir, "apiforge.db") });
  }
  const { openPostgresReads } = await import("../store/postgres/index.ts");
  return openPostgresReads({ ...options, url: databaseUrl });
}
