import { parseHttpDate } from "./http-date.ts";

const oneDaySeconds = 86_400;

/**
 * Seconds that a `Retry-After` field value asks for (RFC 9110 section 10.2.3: delta-seconds or
 * HTTP-date), or undefined when it is absent or neither. A date in the past is 0. Whatever the
 * sender writes, the result lies between 0 and `maxSeconds` (default one day): a hostile or broken
 * provider cannot park work for years.
 */
export function parseRetryAfterSeconds(
  value: string | null | undefined,
  nowMs: number,
  maxSeconds: number = oneDaySeconds,
): number | undefined {
  const text = value?.trim();
  if (text === undefined || text === "") return undefined;
  const seconds = /^\d+$/.test(text) ? Number(text) : secondsUntil(text, nowMs);
  return seconds === undefined ? undefined : Math.min(Math.max(0, seconds), maxSeconds);
}

function secondsUntil(date: string, nowMs: number): number | undefined {
  const at = parseHttpDate(date, nowMs);
  return at === undefined ? undefined : Math.ceil((at - nowMs) / 1_000);
}

/**
 * Milliseconds to wait before the next attempt: the backoff, but never less than what the
 * provider asked for.
 */
export function retryWaitMs(backoffMs: number, retryAfterSeconds: number | undefined): number {
  return Math.max(backoffMs, (retryAfterSeconds ?? 0) * 1_000);
}
