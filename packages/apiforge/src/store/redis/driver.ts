import type { Redis } from "ioredis";

import { storeError } from "../errors.ts";

/** Beyond this Redis counts as away, and a request goes on without it. */
const commandTimeoutMs = 100;
const connectTimeoutMs = 2_000;
const longestRetryMs = 1_000;

/**
 * Connects, and connects again whenever the connection is lost; a Redis that is away is no error.
 * A command is sent at most once: one whose answer is lost may have been done.
 * @throws {store_misconfigured} when `ioredis` is not installed.
 */
export async function connectRedis(url: string): Promise<Redis> {
  const driver = await loadDriver();
  return new driver.Redis(url, {
    connectTimeout: connectTimeoutMs,
    commandTimeout: commandTimeoutMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    enableAutoPipelining: true,
    retryStrategy: (tries) => Math.min(longestRetryMs, tries * 50),
  });
}

async function loadDriver() {
  try {
    return await import("ioredis");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND")) {
      throw error;
    }
    throw storeError(
      "store_misconfigured",
      "REDIS_URL needs the package ioredis, which is not installed. Run: npm install ioredis",
      { cause: error },
    );
  }
}
