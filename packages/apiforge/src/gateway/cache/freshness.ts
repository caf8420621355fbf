import {
  isUnqualified,
  parseDirectives,
  parseTargeted,
  seconds,
  type Directives,
} from "./directives.ts";
import type { Fields } from "./fields.ts";
import { parseHttpDate } from "./http-date.ts";

/** How long a stored answer may be used, in milliseconds. */
export interface Freshness {
  /** By the clock, when the answer was made: its age is the time since then (RFC 9111 section 4.2.3). */
  readonly bornAt: number;
  /** It is stale from this age on; below 0 for one that never was fresh. */
  readonly lifetimeMs: number;
  /** Said by the answer, not guessed. */
  readonly isExplicit: boolean;
  /** Each use asks the upstream first (`no-cache`). */
  readonly alwaysValidate: boolean;
  /** A request may take it stale; not with `must-revalidate`, `proxy-revalidate` or `s-maxage`. */
  readonly mayBeAskedStale: boolean;
  /**
   * RFC 5861: how long after it became stale it may still be used while it is asked for, and instead of an error.
   * What is said here counts beside `s-maxage`, which only implies `proxy-revalidate`; 0 beside one that is said.
   */
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
}

/** When an answer was asked for and its head had come, by the clock. */
export interface Exchanged {
  readonly requestedAt: number;
  readonly receivedAt: number;
}

/** Statuses whose answers may be kept though they do not say for how long (RFC 9110 section 15.1). */
const heuristic: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501,
]);
/** A tenth of the time since the last change (RFC 9111 section 4.2.2), but not for long: nobody said so. */
const heuristicShare = 0.1;
const maxHeuristicMs = 3_600_000;

/**
 * The directives that count here: those of `CDN-Cache-Control` (RFC 9213) in the place of `Cache-Control`
 * and `Expires`, where there are any.
 */
export interface Policy {
  readonly directives: Directives;
  readonly isTargeted: boolean;
}

/** @see {Policy} */
export function policyOf(fields: Fields): Policy {
  const targeted = parseTargeted(fields.get("cdn-cache-control"));
  if (targeted !== undefined) return { directives: targeted, isTargeted: true };
  return { directives: parseDirectives(fields.get("cache-control")), isTargeted: false };
}

/** Works out how long an answer may be used (RFC 9111 section 4.2). */
export function freshnessOf(
  status: number,
  fields: Fields,
  policy: Policy,
  exchanged: Exchanged,
): Freshness {
  const { directives } = policy;
  const { receivedAt } = exchanged;
  const said = parseHttpDate(fields.get("date") ?? "", receivedAt);
  const date = said ?? receivedAt;
  const explicitMs = explicitLifetime(fields, policy, date, receivedAt);
  const isStrict = directives.has("must-revalidate") || directives.has("proxy-revalidate");
  const windowMs = (name: string): number =>
    isStrict ? 0 : (seconds(directives, name) ?? 0) * 1_000;
  return {
    bornAt: receivedAt - initialAgeMs(fields, said, exchanged),
    lifetimeMs: explicitMs ?? heuristicLifetime(status, fields, directives, date, receivedAt),
    isExplicit: explicitMs !== undefined,
    alwaysValidate: isUnqualified(directives, "no-cache"),
    mayBeAskedStale: !isStrict && !directives.has("s-maxage"),
    staleWhileRevalidateMs: windowMs("stale-while-revalidate"),
    staleIfErrorMs: windowMs("stale-if-error"),
  };
}

/** True for a status that may be kept on a guess, and for an answer that says `public`. */
export function mayGuess(status: number, directives: Directives): boolean {
  return heuristic.has(status) || directives.has("public");
}

function explicitLifetime(
  fields: Fields,
  { directives, isTargeted }: Policy,
  date: number,
  now: number,
): number | undefined {
  const lifetime = seconds(directives, "s-maxage") ?? seconds(directives, "max-age");
  if (lifetime !== undefined) return lifetime * 1_000;
  const expires = fields.get("expires");
  if (expires === undefined || isTargeted) return undefined;
  const at = parseHttpDate(expires, now);
  // What is no date is in the past (RFC 9111 section 5.3).
  return at === undefined ? -1 : at - date;
}

function heuristicLifetime(
  status: number,
  fields: Fields,
  directives: Directives,
  date: number,
  now: number,
): number {
  const changedAt = parseHttpDate(fields.get("last-modified") ?? "", now);
  if (changedAt === undefined || !mayGuess(status, directives)) return 0;
  return Math.min(Math.max(0, date - changedAt) * heuristicShare, maxHeuristicMs);
}

/** RFC 9111 section 4.2.3: the greater of what the clocks say and what caches on the way counted. */
function initialAgeMs(
  fields: Fields,
  date: number | undefined,
  { requestedAt, receivedAt }: Exchanged,
): number {
  const apparentMs = date === undefined ? 0 : Math.max(0, receivedAt - date);
  const [, counted = "0"] = /^\s*(\d+)\s*(?:,|$)/.exec(fields.get("age") ?? "") ?? [];
  return Math.max(apparentMs, Number(counted) * 1_000 + receivedAt - requestedAt);
}

/** Age at `now` in milliseconds; never below 0, whatever became of the clock. */
export function ageMs({ bornAt }: Freshness, now: number): number {
  return Math.max(0, now - bornAt);
}

/** What is left of its lifetime; below 0 once it is stale, for as long as it has been. */
export function remainingMs(freshness: Freshness, now: number): number {
  return freshness.lifetimeMs - ageMs(freshness, now);
}
