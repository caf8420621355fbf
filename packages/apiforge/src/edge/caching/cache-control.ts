/** How long a route's answers may be used again without asking. */
export interface CacheOptions {
  /** For how long an answer is fresh. */
  readonly maxAgeSeconds: number;
  /**
   * True lets caches that serve several callers keep it; only on a route with `auth: "none"`. Default
   * false: the caller's own.
   */
  readonly public?: boolean;
  /** For how long a cache may hand out a stale answer while it asks for a fresh one; default not at all. */
  readonly staleWhileRevalidateSeconds?: number;
  /** True: no cache keeps it; with `maxAgeSeconds: 0` only. Default false. */
  readonly noStore?: boolean;
}

/**
 * The `Cache-Control` that `options` mean (RFC 9111 section 5.2.2, RFC 5861 section 3).
 * @throws {TypeError} for seconds that are no whole number from 0 on, and for what contradicts `noStore`.
 */
export function cacheControl(options: CacheOptions): string {
  const { maxAgeSeconds, staleWhileRevalidateSeconds, noStore = false } = options;
  for (const seconds of [maxAgeSeconds, staleWhileRevalidateSeconds ?? 0]) {
    if (!Number.isSafeInteger(seconds) || seconds < 0) {
      throw new TypeError("cache: seconds are a whole number from 0 on");
    }
  }
  const isPublic = options.public === true;
  if (noStore) {
    if (isPublic || maxAgeSeconds > 0 || staleWhileRevalidateSeconds !== undefined) {
      throw new TypeError("cache: what is not stored has no age and is not public");
    }
    return "no-store";
  }
  const parts = [isPublic ? "public" : "private", `max-age=${maxAgeSeconds}`];
  if (staleWhileRevalidateSeconds !== undefined) {
    parts.push(`stale-while-revalidate=${staleWhileRevalidateSeconds}`);
  }
  return parts.join(", ");
}
