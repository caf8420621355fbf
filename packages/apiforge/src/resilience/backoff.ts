import { durationMs, type Duration } from "../kernel/index.ts";

/**
 * How a wait between attempts is drawn from its cap: `full` is uniform between 0 and the cap
 * ("Exponential Backoff And Jitter", AWS Architecture Blog), `none` is the cap itself.
 */
export type Jitter = "full" | "none";

/** Waits whose cap grows by `factor` from `initialMs` up to `maxMs`. Made by {@link exponential}. */
export interface ExponentialBackoff {
  readonly kind: "exponential";
  readonly initialMs: number;
  readonly factor: number;
  readonly maxMs: number;
  readonly jitter: Jitter;
}

/** Waits taken from a list, in order; the last one repeats. Made by {@link fixedDelays}. */
export interface FixedBackoff {
  readonly kind: "fixed";
  readonly delaysMs: readonly number[];
}

/** How long to wait after each failure. Plain data: it survives JSON and may be stored. */
export type BackoffPolicy = ExponentialBackoff | FixedBackoff;

/** What {@link exponential} may be told besides the first cap. */
export interface ExponentialOptions {
  /** Upper bound of every wait; default 1 hour. */
  readonly max?: Duration;
  /** Growth of the cap per failure, at least 1; default 2. */
  readonly factor?: number;
  /** Default `full`. */
  readonly jitter?: Jitter;
}

/**
 * Exponential backoff: `exponential("2s")` has the caps 2 s, 4 s, 8 s … 1 h.
 * @throws {RangeError} when `initial` is not positive, `max` is below it or `factor` is below 1.
 */
export function exponential(
  initial: Duration,
  { max = "1h", factor = 2, jitter = "full" }: ExponentialOptions = {},
): ExponentialBackoff {
  const initialMs = durationMs(initial);
  const maxMs = durationMs(max);
  if (initialMs === 0) throw new RangeError("The first delay of a backoff must be above 0");
  if (maxMs < initialMs) {
    throw new RangeError(`The backoff's max ${max} is below its first delay ${initial}`);
  }
  if (!Number.isFinite(factor) || factor < 1) {
    throw new RangeError(`${factor} is not a backoff factor; write a number of at least 1`);
  }
  return { kind: "exponential", initialMs, factor, maxMs, jitter };
}

/**
 * Exactly these waits, without jitter: `fixedDelays(["5s", "30s"])` waits 5 s after the first
 * failure and 30 s after every later one.
 * @throws {RangeError} when the list is empty or holds no duration.
 */
export function fixedDelays(delays: readonly Duration[]): FixedBackoff {
  if (delays.length === 0) throw new RangeError("A list of delays needs at least one delay");
  return { kind: "fixed", delaysMs: delays.map(durationMs) };
}

/**
 * Milliseconds to wait after `failures` failed attempts in a row (1 after the first), whole and
 * rounded up. With full jitter the wait lies in (0, cap], where the cap is
 * `min(maxMs, initialMs * factor ** (failures - 1))`; `random` yields numbers in [0, 1).
 * @throws {RangeError} when `failures` is not an integer of at least 1.
 */
export function backoffDelayMs(
  policy: BackoffPolicy,
  failures: number,
  random: () => number = Math.random,
): number {
  if (!Number.isInteger(failures) || failures < 1) {
    throw new RangeError(`${failures} is not a count of failures; the first failure is 1`);
  }
  if (policy.kind === "fixed") return fixedDelayMs(policy.delaysMs, failures);
  const capMs = Math.min(policy.maxMs, policy.initialMs * policy.factor ** (failures - 1));
  // 1 - random() is in (0, 1]: a wait of 0 would make the retry part of the same burst.
  return Math.ceil(policy.jitter === "full" ? capMs * (1 - random()) : capMs);
}

function fixedDelayMs(delaysMs: readonly number[], failures: number): number {
  const delayMs = delaysMs[Math.min(failures, delaysMs.length) - 1];
  if (delayMs === undefined) throw new RangeError("A list of delays needs at least one delay");
  return Math.ceil(delayMs);
}
