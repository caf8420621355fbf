/** A length of time: milliseconds as a number, or text such as `250ms`, `2s`, `15m`, `24h`, `7d`. */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const pattern = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/**
 * Whole milliseconds of a {@link Duration}, rounded to the nearest: timers and columns take no
 * fractions, and 1.1 * 1000 is not 1100.
 * @throws {RangeError} when the text is not a duration or the number is negative or too large.
 */
export function durationMs(duration: Duration): number {
  const value = Math.round(typeof duration === "number" ? duration : parse(duration));
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(
      `${String(duration)} is not a duration; write for example 500ms, 2s, 15m, 24h or 7d`,
    );
  }
  return value;
}

function parse(text: string): number {
  const match = pattern.exec(text);
  if (match === null) return Number.NaN;
  return Number(match[1]) * unitMs[match[2] as keyof typeof unitMs];
}
