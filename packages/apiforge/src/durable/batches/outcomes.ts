import type { ItemError } from "./definition.ts";

/**
 * What is known of one item: null before its first attempt ended. Stored as an array because a
 * chunk has hundreds: `[1, attempts, result]` succeeded, `[2, attempts, code, message]` failed,
 * `[3, attempts, code, message, dueAt]` to be tried again at `dueAt`.
 */
export type Outcome =
  | null
  | readonly [kind: 1, attempts: number, result: unknown]
  | readonly [kind: 2, attempts: number, code: string, message: string]
  | readonly [kind: 3, attempts: number, code: string, message: string, dueAt: number];

/** The outcomes of a chunk of `itemCount` items from what is stored. */
export function parseOutcomes(text: string | undefined, itemCount: number): Outcome[] {
  if (text === undefined) return Array.from({ length: itemCount }, () => null);
  // Written by this program, as the type says.
  return JSON.parse(text) as Outcome[];
}

/** True when no attempt will follow. */
export function isFinal(outcome: Outcome): boolean {
  return outcome !== null && outcome[0] !== 3;
}

/** Attempts that have ended. */
export function attemptsOf(outcome: Outcome): number {
  return outcome === null ? 0 : outcome[1];
}

/** The error of an item that failed or waits for another attempt. */
export function errorOf(outcome: Outcome): ItemError | null {
  if (outcome === null || outcome[0] === 1) return null;
  return { code: outcome[2], message: outcome[3] };
}

/** How many items have succeeded and failed. */
export function countOutcomes(outcomes: readonly Outcome[]): { succeeded: number; failed: number } {
  let succeeded = 0;
  let failed = 0;
  for (const outcome of outcomes) {
    if (outcome?.[0] === 1) succeeded += 1;
    else if (outcome?.[0] === 2) failed += 1;
  }
  return { succeeded, failed };
}
