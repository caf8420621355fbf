import { durationMs, type Duration } from "../../kernel/index.ts";
import type { Exchange } from "../exchange.ts";
import { subjectOf, type SubjectPart } from "./subject.ts";

/** Whom a limit counts: what all of these together name, or text of your own; undefined counts nobody. */
export type LimitBy =
  | SubjectPart
  | readonly SubjectPart[]
  | ((exchange: Exchange) => string | undefined);

/** What a quota is counted by, in UTC. */
export type QuotaPeriod = "day" | "month";

/** A limit as it is declared. */
export interface LimitOptions {
  /** 1-64 of a-z, 0-9 and -; it names the policy to callers. Equal names share one count. */
  readonly name: string;
  /** Requests that are admitted within `per`; 1 to 1,000,000,000. */
  readonly limit: number;
  /**
   * From 1 s to 30 d: in no interval of that length are more than `limit` admitted. `day` and `month`
   * are quotas by the calendar, in UTC.
   */
  readonly per: Duration | QuotaPeriod;
  /** Default `principal`; an address where nobody has to be known (`auth: "none"`). */
  readonly by?: LimitBy;
}

/** A limit that can be counted. */
export interface LimitPolicy {
  readonly name: string;
  readonly limit: number;
  /** Of a quota the longest that its period lasts. */
  readonly windowMs: number;
  /** Undefined for a window that slides. */
  readonly period: QuotaPeriod | undefined;
  /** As it was declared, for messages. */
  readonly per: string;
  readonly by: LimitBy;
  /** It needs nothing of the caller but the address, so it is asked before the token is verified. */
  readonly isEarly: boolean;
}

const namePattern = /^[a-z0-9-]{1,64}$/;
const dayMs = 86_400_000;
const largestLimit = 1_000_000_000;
const longestWindowMs = 30 * dayMs;
const periodMs = { day: dayMs, month: 31 * dayMs } as const;

/** Checks a declared limit. @throws {TypeError} for a name, number or duration that cannot work. */
export function limitPolicy(options: LimitOptions, defaultBy: SubjectPart): LimitPolicy {
  const { name, limit, per, by = defaultBy } = options;
  if (!namePattern.test(name)) {
    throw new TypeError(`Limit ${name}: a name is 1-64 of a-z, 0-9 and -`);
  }
  if (!Number.isInteger(limit) || limit < 1 || limit > largestLimit) {
    throw new TypeError(`Limit ${name}: limit is a whole number from 1 to ${largestLimit}`);
  }
  const isQuota = per === "day" || per === "month";
  const windowMs = isQuota ? periodMs[per] : slidingMs(name, per);
  const period = isQuota ? per : undefined;
  const isEarly = typeof by !== "function" && !namesCaller(by);
  return { name, limit, windowMs, period, per: String(per), by, isEarly };
}

function slidingMs(name: string, per: Duration): number {
  const windowMs = durationMs(per);
  if (windowMs < 1_000 || windowMs > longestWindowMs) {
    throw new TypeError(`Limit ${name}: per is 1s to 30d, day or month`);
  }
  return windowMs;
}

/** True when `by` names who is calling, which is not known before the token has been verified. */
export function namesCaller(by: LimitBy): boolean {
  if (typeof by === "function") return false;
  return !(typeof by === "string" ? [by] : by).every(isKnownEarly);
}

function isKnownEarly(part: SubjectPart): boolean {
  return part === "address" || part === "route";
}

/** Whom `policy` counts for this request; undefined where it counts nobody. */
export function subjectFor(policy: LimitPolicy, exchange: Exchange): string | undefined {
  return typeof policy.by === "function" ? policy.by(exchange) : subjectOf(policy.by, exchange);
}
