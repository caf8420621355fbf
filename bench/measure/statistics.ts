/** The middle of `values`, the lower one of two; throws on an empty list. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The nearest-rank percentile `rank` (0 to 100) of `values`; throws on an empty list. */
export function percentile(values: readonly number[], rank: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  const index = Math.max(0, Math.ceil((rank / 100) * sorted.length) - 1);
  const value = sorted[index];
  if (value === undefined) throw new Error("A percentile needs at least one value.");
  return value;
}
