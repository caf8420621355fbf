import { command, type ArrayElement, type Command, type CommandValue } from "./command.ts";

/** A statement about any number of rows. */
export interface RowsStatement {
  /** For one row, whose values are `$1`, `$2`, … themselves: what most commits have, at less cost. */
  readonly one: string;
  /** For more: each of `$1`, `$2`, … is the array of a column. */
  readonly many: string;
}

/**
 * The statement that `text` makes of a source of rows, to be named as in
 * `from ${source} as job (id, queue)`; `types` are those of its columns.
 */
export function rowsStatement(
  types: readonly string[],
  text: (source: string) => string,
): RowsStatement {
  const values = types.map((type, index) => `$${index + 1}::${type}`);
  return { one: text(`(values (${values.join()}))`), many: text(arraySource(types)) };
}

/** Rows of which each column is one array: `$n`, `$n+1`, … where n is `from`. */
export function arraySource(types: readonly string[], from = 1): string {
  return `unnest(${types.map((type, index) => `$${from + index}::${type}[]`).join()})`;
}

/** The arrays that {@link arraySource} is given for `rows` of `width` columns. */
export function columnArrays(
  width: number,
  rows: readonly (readonly ArrayElement[])[],
): readonly CommandValue[] {
  return Array.from({ length: width }, (_, column) => rows.map((row) => row[column] ?? null));
}

/** `statement` for `rows`, in their order; there is at least one. */
export function rowsCommand(
  statement: RowsStatement,
  rows: readonly (readonly ArrayElement[])[],
): Command {
  const [first = []] = rows;
  if (rows.length === 1) return command(statement.one, ...first);
  return command(statement.many, ...columnArrays(first.length, rows));
}
