import { digestOfUpstreamKey, upstreamKey } from "../durable/index.ts";
import type { Log } from "../kernel/index.ts";
import type {
  UpstreamCallFilter,
  UpstreamCallRecord,
  UpstreamCallSettlement,
  UpstreamCallStanding,
} from "../store/index.ts";
import type { Config } from "./config.ts";
import { openReads, openStore } from "./open-store.ts";

const readLimitMs = 30_000;

/** A call of an upstream under an idempotency key, for its operator. */
export interface UpstreamCallRow extends Omit<UpstreamCallRecord, "digest"> {
  /** What the upstream was sent as `Idempotency-Key`. */
  readonly upstreamKey: string;
}

/**
 * Calls of upstreams under idempotency keys in the configured store, oldest first, while a server runs on
 * it or not.
 * @throws {store_misconfigured} when there is no store.
 * @throws {store_unavailable} when PostgreSQL cannot be reached.
 */
export async function listUpstreamCalls(
  config: Config,
  filter: UpstreamCallFilter,
  log: Log,
): Promise<readonly UpstreamCallRow[]> {
  const reads = await openReads(config, readLimitMs, log);
  try {
    const calls = await reads.upstreamCalls.list(filter);
    return calls.map(({ digest, ...call }) => ({ upstreamKey: upstreamKey(digest), ...call }));
  } finally {
    await reads.close();
  }
}

/**
 * Ends a call whose outcome is unknown, by the key that the upstream was sent: its repeats get the answer, or
 * its key is free. Answers how it stood; where that is not `unknown`, nothing has changed. Undefined when
 * there is no such call.
 * @throws {TypeError} for text that is no such key.
 * @throws {store_locked} when a server runs on the embedded database: it has to be stopped.
 * @throws {store_unavailable} when PostgreSQL cannot be reached.
 */
export async function settleUpstreamCall(
  config: Config,
  key: string,
  settlement: UpstreamCallSettlement,
  log: Log,
): Promise<UpstreamCallStanding | undefined> {
  const digest = digestOfUpstreamKey(key);
  if (digest === undefined) throw new TypeError(`${JSON.stringify(key)} is no key of a call`);
  const store = await openStore(config, [], log);
  try {
    return await store.upstreamCalls.settle(digest, settlement);
  } finally {
    await store.close();
  }
}
