import { existsSync } from "node:fs";

import { systemClock } from "../../kernel/index.ts";
import type { StoreOptions, StoreReads } from "../contract.ts";
import { storeError } from "../errors.ts";
import { listText, toUpstreamCallRecord } from "../upstream-call-row.ts";
import { ReaderPool } from "./readers.ts";

/**
 * Opens the file to read what is committed, beside a process that uses it or without one. The file is
 * neither locked nor migrated. Not for the process that has it open: its locks would go.
 * @throws {store_misconfigured} when there is no such file.
 */
export function openSqliteReads(
  options: Pick<StoreOptions, "log" | "transactionLimitMs"> & { readonly path: string },
): StoreReads {
  if (!existsSync(options.path)) {
    throw storeError("store_misconfigured", "There is no database in the data directory.");
  }
  const readers = new ReaderPool(options.path, { ...options, clock: systemClock });
  return {
    read: (label, work, tenant) => readers.read(label, work, tenant),
    upstreamCalls: {
      list(filter) {
        const text = listText(String(systemClock.now()), filter);
        const rows = readers.read(
          "list upstream calls",
          (reader) => reader.queryText(text, []),
          undefined,
        );
        return rows.then((found) => found.rows.map(toUpstreamCallRecord));
      },
    },
    close: () => readers.close(),
  };
}
