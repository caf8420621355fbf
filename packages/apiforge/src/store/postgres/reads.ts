import { systemClock } from "../../kernel/index.ts";
import type { StoreOptions, StoreReads } from "../contract.ts";
import { listText, toUpstreamCallRecord } from "../upstream-call-row.ts";
import { loadDriver } from "./driver.ts";
import { now } from "./job-statements.ts";
import { ConnectionPool } from "./pool.ts";
import { SnapshotReaders } from "./readers.ts";

/**
 * Opens the database to read what is committed; nothing is migrated.
 * @throws {store_misconfigured} when `pg` is not installed.
 */
export async function openPostgresReads(
  options: Pick<StoreOptions, "log" | "transactionLimitMs"> & { readonly url: string },
): Promise<StoreReads> {
  const parts = { ...options, poolSize: 1, clock: systemClock };
  const pool = new ConnectionPool(await loadDriver(), parts, () => undefined);
  const readers = new SnapshotReaders(pool, undefined);
  return {
    read: (label, work, tenant) => readers.read(label, work, tenant),
    upstreamCalls: {
      list(filter) {
        const text = listText(now, filter);
        const rows = readers.read(
          "list upstream calls",
          (reader) => reader.queryText(text, []),
          undefined,
        );
        return rows.then((found) => found.rows.map(toUpstreamCallRecord));
      },
    },
    close: () => pool.close(),
  };
}
