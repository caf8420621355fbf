import { styleText } from "node:util";

/** Text in a style, where standard output is a terminal that takes it. */
export function styled(style: "dim" | "bold" | "red" | "green" | "yellow", text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

/** Lines of aligned columns, two spaces between them; the first row is a head. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    }
  }
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const [head = "", ...body] = lines;
  return [styled("dim", head), ...body].join("\n");
}
