import { command, type Command } from "./command.ts";

/** One value of a row. */
type RowValue = string | number | null;

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
  const arrays = values.map((value) => `${value}[]`);
  return { one: text(`(values (${values.join()}))`), many: text(`unnest(${arrays.join()})`) };
}

/** `statement` for `rows`, in their order; there is at least one. */
export function rowsCommand(
  statement: RowsStatement,
  rows: readonly (readonly RowValue[])[],
): Command {
  const [first = []] = rows;
  if (rows.length === 1) return command(statement.one, ...first);
  const columns = first.map((_, column) => rows.map((row) => row[column] ?? null));
  return command(statement.many, ...columns);
}
