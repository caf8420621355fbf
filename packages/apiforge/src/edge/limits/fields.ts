import type { Admission, Ruling } from "./limiter.ts";
import type { LimitPolicy } from "./policy.ts";

/** The items of policies, which are made once. */
const policyItems = new WeakMap<LimitPolicy, string>();

/**
 * Header fields that tell a caller its limits: `RateLimit` and `RateLimit-Policy` of
 * draft-ietf-httpapi-ratelimit-headers-11, and `X-Rate-Limit-*` for the policy that has least left.
 * Names of policies are a-z, 0-9 and -, so a string of RFC 9651 needs no escapes. Flat: name, value,
 * name, value.
 */
export function limitFields({ rulings, refusedBy }: Admission, nowMs: number): readonly string[] {
  let policies = "";
  let standings = "";
  let tightest = refusedBy;
  for (const ruling of rulings) {
    const separator = policies === "" ? "" : ", ";
    policies += separator + policyItem(ruling.policy);
    standings += separator + standingItem(ruling);
    if (tightest === undefined || isTighter(ruling, tightest)) tightest = ruling;
  }
  if (tightest === undefined) return [];
  return [
    "ratelimit-policy",
    policies,
    "ratelimit",
    standings,
    "x-rate-limit-limit",
    String(tightest.policy.limit),
    "x-rate-limit-remaining",
    String(tightest.remaining),
    "x-rate-limit-reset",
    String(Math.ceil((nowMs + tightest.resetInMs) / 1_000)),
  ];
}

function policyItem(policy: LimitPolicy): string {
  const known = policyItems.get(policy);
  if (known !== undefined) return known;
  const item = madeItem(policy);
  policyItems.set(policy, item);
  return item;
}

function madeItem({ name, limit, windowMs, period }: LimitPolicy): string {
  // A month has no one length, and a day of the calendar does not slide.
  if (period !== undefined) return `"${name}";q=${limit}`;
  return `"${name}";q=${limit};w=${Math.ceil(windowMs / 1_000)}`;
}

function standingItem({ policy, remaining, resetInMs }: Ruling): string {
  return `"${policy.name}";r=${remaining};t=${Math.ceil(resetInMs / 1_000)}`;
}

function isTighter(ruling: Ruling, than: Ruling): boolean {
  if (ruling.remaining !== than.remaining) return ruling.remaining < than.remaining;
  return ruling.resetInMs > than.resetInMs;
}
