import type { Admission, Ruling } from "./limiter.ts";
import type { LimitPolicy } from "./policy.ts";

/** What is said of a policy and does not change. */
interface PolicyTexts {
  readonly item: string;
  readonly limit: string;
  /** Of its standing, up to what remains. */
  readonly standing: string;
}

const textsOf = new WeakMap<LimitPolicy, PolicyTexts>();
let resetSeconds = 0;
let resetText = "0";

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
    const { item, standing } = policyTexts(ruling.policy);
    const text = `${standing}${ruling.remaining};t=${Math.ceil(ruling.resetInMs / 1_000)}`;
    policies = policies === "" ? item : `${policies}, ${item}`;
    standings = standings === "" ? text : `${standings}, ${text}`;
    if (tightest === undefined || isTighter(ruling, tightest)) tightest = ruling;
  }
  if (tightest === undefined) return [];
  return [
    "ratelimit-policy",
    policies,
    "ratelimit",
    standings,
    "x-rate-limit-limit",
    policyTexts(tightest.policy).limit,
    "x-rate-limit-remaining",
    String(tightest.remaining),
    "x-rate-limit-reset",
    secondsText(Math.ceil((nowMs + tightest.resetInMs) / 1_000)),
  ];
}

function policyTexts(policy: LimitPolicy): PolicyTexts {
  const known = textsOf.get(policy);
  if (known !== undefined) return known;
  const { name, limit } = policy;
  const made = { item: itemOf(policy), limit: String(limit), standing: `"${name}";r=` };
  textsOf.set(policy, made);
  return made;
}

function itemOf({ name, limit, windowMs, period }: LimitPolicy): string {
  // A month has no one length, and a day of the calendar does not slide.
  if (period !== undefined) return `"${name}";q=${limit}`;
  return `"${name}";q=${limit};w=${Math.ceil(windowMs / 1_000)}`;
}

/** The same text for the same second, which most answers in a row name. */
function secondsText(seconds: number): string {
  if (seconds !== resetSeconds) {
    resetSeconds = seconds;
    resetText = String(seconds);
  }
  return resetText;
}

function isTighter(ruling: Ruling, than: Ruling): boolean {
  if (ruling.remaining !== than.remaining) return ruling.remaining < than.remaining;
  return ruling.resetInMs > than.resetInMs;
}
