import type { Counter, Standing } from "./counter.ts";
import type { LimitPolicy } from "./policy.ts";

/** One policy that a request is counted by. */
export interface Check {
  readonly policy: LimitPolicy;
  readonly counter: Counter;
  readonly subject: string;
}

/** What one policy said about a request. */
export interface Ruling extends Check {
  /** Admitted requests that are left after this one. */
  remaining: number;
  /** Milliseconds until more are left; 0 when nothing is spent. */
  resetInMs: number;
  /** What the counter needs to take this spending back; undefined when none was made. */
  receipt: number | undefined;
}

/** What all policies that apply to a request said, as one. */
export interface Admission {
  readonly rulings: readonly Ruling[];
  /** The one of those without anything left that opens last; undefined when the request was admitted. */
  readonly refusedBy: Ruling | undefined;
}

/** Asks all of `checks` and spends one of each, or of none when one has nothing left. */
export function admit(checks: readonly Check[], elapsedMs: number): Admission {
  const [only] = checks;
  if (only !== undefined && checks.length === 1) return admitOne(only, elapsedMs);
  const standings: Standing[] = [];
  let isRefused = false;
  for (const { counter, subject } of checks) {
    const standing = counter.look(subject, elapsedMs);
    if (standing.remaining < 1) isRefused = true;
    standings.push(standing);
  }
  return isRefused ? refused(checks, standings) : spend(checks, elapsedMs);
}

/** As above for most routes, which have one policy: without a list for each step. */
function admitOne(check: Check, elapsedMs: number): Admission {
  const standing = check.counter.look(check.subject, elapsedMs);
  if (standing.remaining < 1) return refused([check], [standing]);
  return { rulings: [spendOne(check, elapsedMs)], refusedBy: undefined };
}

/** Takes back what `admission` spent. */
export function takeBack({ rulings }: Admission): void {
  for (const ruling of rulings) {
    if (ruling.receipt === undefined) continue;
    ruling.counter.giveBack(ruling.subject, ruling.receipt);
    ruling.receipt = undefined;
    ruling.remaining++;
  }
}

function refused(checks: readonly Check[], standings: readonly Standing[]): Admission {
  const rulings = checks.map((check, index) => ruling(check, standings[index], undefined));
  let refusedBy: Ruling | undefined;
  for (const each of rulings) {
    if (each.remaining > 0) continue;
    if (refusedBy === undefined || each.resetInMs > refusedBy.resetInMs) refusedBy = each;
  }
  return { rulings, refusedBy };
}

function spend(checks: readonly Check[], elapsedMs: number): Admission {
  return { rulings: checks.map((check) => spendOne(check, elapsedMs)), refusedBy: undefined };
}

function spendOne(check: Check, elapsedMs: number): Ruling {
  const { counter, subject } = check;
  const receipt = counter.take(subject, elapsedMs);
  // Looked at again for the reset of a window that this request opened.
  const standing = counter.tell?.(subject, elapsedMs) ?? counter.look(subject, elapsedMs);
  return ruling(check, standing, receipt);
}

function ruling(check: Check, standing: Standing | undefined, receipt: number | undefined): Ruling {
  const { policy, counter, subject } = check;
  const { remaining = 0, resetInMs = 0 } = standing ?? {};
  return { policy, counter, subject, remaining, resetInMs, receipt };
}
