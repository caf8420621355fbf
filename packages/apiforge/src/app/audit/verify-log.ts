import { readAnchor, verifyAudit, type AuditReport } from "../../durable/index.ts";
import type { Log } from "../../kernel/index.ts";
import type { Config } from "../config.ts";
import { openReads } from "../open-store.ts";

/** The last look asks about every entry at once. */
const readLimitMs = 600_000;

/**
 * Verifies the audit log of the configured store, while a server runs on it or not. `anchor` is
 * `position:hash`, as an earlier run or the server's log told it.
 * @throws {TypeError} for text that is no anchor.
 * @throws {store_misconfigured} when there is no store.
 * @throws {store_unavailable} when PostgreSQL cannot be reached.
 */
export async function verifyAuditLog(
  config: Config,
  anchor: string | undefined,
  log: Log,
): Promise<AuditReport> {
  const wanted = anchor === undefined ? undefined : readAnchor(anchor);
  const reads = await openReads(config, readLimitMs, log);
  try {
    return await verifyAudit((work) => reads.read("verify audit log", work), wanted);
  } finally {
    await reads.close();
  }
}
