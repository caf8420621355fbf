import { ApiError, isRetryable } from "./api-error.ts";
import { backoffMs } from "./backoff.ts";
import { sleep } from "./clock.ts";
import type { Settings } from "./settings.ts";

/** A call that is told to wait longer fails at once: nobody watches a spinner for minutes. */
const longestRetryAfterMs = 60_000;

/**
 * Runs `attempt` until it succeeds, fails in a way that another attempt would repeat, or has been
 * made `attempts` times. Waits with full jitter, and never less than `Retry-After` asks for.
 */
export async function withRetries<T>(
  settings: Settings,
  attempts: number,
  signal: AbortSignal | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await attempt();
    } catch (error) {
      const waitMs = retryWaitMs(error, failures, settings.random);
      if (waitMs === undefined || failures >= attempts) throw error;
      await sleep(settings.clock, waitMs, signal);
    }
  }
}

/** Milliseconds until the next attempt, or undefined when there should be none. */
export function retryWaitMs(
  error: unknown,
  failures: number,
  random: () => number,
): number | undefined {
  if (!(error instanceof ApiError) || !isRetryable(error)) return undefined;
  const { retryAfterMs = 0 } = error;
  if (retryAfterMs > longestRetryAfterMs) return undefined;
  return retryAfterMs + backoffMs(failures, random);
}
