/** A Markdown table; the first column is left-aligned, the others right-aligned. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const rule = head.map((_, column) => (column === 0 ? ":--" : "--:"));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Microseconds as milliseconds with the digits that a reader needs. */
export function milliseconds(us: number): string {
  const ms = us / 1_000;
  return ms < 10 ? ms.toFixed(2) : ms.toFixed(ms < 100 ? 1 : 0);
}

/** A count per second, in whole numbers with separators. */
export function perSecond(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
