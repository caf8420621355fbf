import type { LeaseSource } from "../edge/index.ts";
import type { Log } from "../kernel/index.ts";
import type { Store } from "../store/index.ts";
import type { Config } from "./config.ts";

/** What limits and quotas are leased from. */
export interface Leases extends LeaseSource {
  close(): Promise<void>;
}

/**
 * The store, with Redis before it where the configuration names one and several nodes can share the store:
 * one process has what it needs in its memory.
 * @throws {store_misconfigured} when `ioredis` is not installed.
 */
export async function openLeases(config: Config, store: Store, log: Log): Promise<Leases> {
  const { redisUrl: url } = config;
  const { quotas } = store;
  if (url === undefined || store.capabilities.singleProcess) {
    return { lease: (asks) => quotas.lease(asks), close: async () => undefined };
  }
  const { openRedisQuotas } = await import("../store/redis/index.ts");
  return openRedisQuotas({ url, store: quotas, log });
}
