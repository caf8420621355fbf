import { seconds, type Directives } from "./directives.ts";
import { ageMs, remainingMs, type Freshness } from "./freshness.ts";

/**
 * `fresh`, `stale`: may be used as it is. `behind`: may be used while the upstream is asked behind it.
 * `validate`: only when the upstream has said that it still holds.
 */
export type Reuse = "fresh" | "stale" | "behind" | "validate";

/**
 * What may be done with a stored answer for a request with these directives (RFC 9111 sections 4.2 and 5.2.1,
 * RFC 5861 section 3).
 */
export function reuseOf(freshness: Freshness, asked: Directives, now: number): Reuse {
  if (freshness.alwaysValidate || asked.has("no-cache")) return "validate";
  const remaining = remainingMs(freshness, now);
  const minFresh = seconds(asked, "min-fresh");
  if (minFresh !== undefined && remaining < minFresh * 1_000) return "validate";
  const maxAge = seconds(asked, "max-age");
  // An answer of this very second is as good as one from the upstream, unless 0 was asked for.
  const isTooOld = maxAge !== undefined && (ageMs(freshness, now) > maxAge * 1_000 || maxAge === 0);
  if (isTooOld) return "validate";
  if (remaining > 0) return "fresh";
  if (freshness.mayBeAskedStale && -remaining <= askedStaleMs(asked)) return "stale";
  return -remaining < freshness.staleWhileRevalidateMs ? "behind" : "validate";
}

/** Whether a stored answer may stand in for one that failed (RFC 5861 section 4). */
export function mayStandIn(freshness: Freshness, asked: Directives, now: number): boolean {
  if (freshness.alwaysValidate || asked.has("no-cache")) return false;
  const askedMs = freshness.mayBeAskedStale ? (seconds(asked, "stale-if-error") ?? 0) * 1_000 : 0;
  const allowedMs = Math.max(freshness.staleIfErrorMs, askedMs);
  return allowedMs > 0 && -remainingMs(freshness, now) < allowedMs;
}

/** `max-stale` without a value takes any age. */
function askedStaleMs(asked: Directives): number {
  if (asked.get("max-stale") === "") return Number.POSITIVE_INFINITY;
  const maxStale = seconds(asked, "max-stale");
  return maxStale === undefined ? -1 : maxStale * 1_000;
}
