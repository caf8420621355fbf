import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabase, type StoreName } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { createForge, type Reader, type Transaction } from "apiforge";
import { afterAll, beforeAll } from "vitest";

import { bulkMessageMigrations } from "../src/migrations.ts";

/** Commits on a real store with the tables of the bulk messages, before the tests of a suite. */
export function ledgerStore(store: StoreName) {
  const resources = new AsyncDisposableStack();
  let forge: Awaited<ReturnType<typeof createForge>>;
  beforeAll(async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "apiforge-ledger-"));
    resources.defer(() => rmSync(dataDir, { recursive: true }));
    const database =
      store === "postgres" ? resources.use(await createDatabase(postgresUrl())) : undefined;
    forge = await createForge(
      { migrations: bulkMessageMigrations },
      {
        config: {
          dataDir,
          databaseUrl: database?.url,
          jobConcurrency: 0,
          logLevel: "silent",
          transactionLimitMs: 20_000,
        },
      },
    );
    resources.use(forge);
  });
  afterAll(() => resources.disposeAsync());
  return {
    commit: <T>(work: (tx: Transaction) => Promise<T>): Promise<T> =>
      forge.durable.transact("test", { tenant: "ten_1", requestId: "req_1" }, work),
    read: <T>(work: (reader: Reader) => Promise<T>): Promise<T> => forge.durable.read("test", work),
  };
}
