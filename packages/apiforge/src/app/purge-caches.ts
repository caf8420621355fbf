import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { createDurable } from "../durable/index.ts";
import type { Log } from "../kernel/index.ts";
import { writePurges } from "./cache-purges.ts";
import type { Config } from "./config.ts";
import { openStore } from "./open-store.ts";
import { leaveRequest, type PurgeRequest } from "./purge-requests.ts";

const actor = { tenant: "system", requestId: "purge-caches" };
const lookMs = 50;

/**
 * Purges the caches of the configured deployment, while servers run or not: on PostgreSQL by a commit, which its servers
 * see within 250 ms; on SQLite by asking the one process that has the store. Answers false where no process did so
 * within `waitMs`: the next one does it before it serves.
 * @throws {store_unavailable} when PostgreSQL cannot be reached.
 */
export async function purgeCaches(
  config: Config,
  request: PurgeRequest,
  { log, waitMs }: { readonly log: Log; readonly waitMs: number },
): Promise<boolean> {
  if (config.databaseUrl !== undefined) {
    await commitPurges(config, request, log);
    return true;
  }
  const path = await leaveRequest(config.dataDir, request);
  for (let waitedMs = 0; existsSync(path) && waitedMs < waitMs; waitedMs += lookMs) {
    await sleep(lookMs);
  }
  return !existsSync(path);
}

async function commitPurges(
  config: Config,
  { cache, purges }: PurgeRequest,
  log: Log,
): Promise<void> {
  const store = await openStore(config, [], log);
  try {
    const durable = createDurable({ store, log, jobs: [], consumers: [] });
    await durable.transact("purge caches", actor, (tx) => writePurges(tx, cache, purges));
  } finally {
    await store.close();
  }
}
