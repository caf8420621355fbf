import type { Row, SqlFragment, SqlValue } from "../store/index.ts";

/** What may stand in `${…}` of a `sql` template: a value, or a piece made by the same tag. */
export type SqlInput = SqlValue | Date | undefined | SqlPiece;

/** A piece of SQL with its values, to be nested into another. */
export class SqlPiece implements SqlFragment {
  readonly texts: readonly string[];
  readonly values: readonly SqlValue[];

  constructor(texts: readonly string[], values: readonly SqlValue[]) {
    this.texts = texts;
    this.values = values;
  }
}

/**
 * Runs SQL in the transaction: ``tx.sql<Project>`select * from projects where id = ${id}` ``.
 * Values never become part of the text. `Date` is bound as epoch milliseconds, `undefined` as null.
 */
export type SqlTag = <R extends object = Row>(
  texts: TemplateStringsArray,
  ...inputs: readonly SqlInput[]
) => Promise<readonly R[]>;

/** A piece of SQL for use inside `tx.sql`: ``const mine = sql`tenant = ${tenant}` ``. */
export function sql(texts: TemplateStringsArray, ...inputs: readonly SqlInput[]): SqlPiece {
  // Most templates nest nothing: their own texts are one array for all calls, which stores know again.
  if (inputs.every(isValue)) return new SqlPiece(texts, inputs.map(bindable));
  const pieces: string[] = [texts[0] ?? ""];
  const values: SqlValue[] = [];
  inputs.forEach((input, index) => {
    const following = texts[index + 1] ?? "";
    if (input instanceof SqlPiece) {
      pieces[pieces.length - 1] += input.texts[0] ?? "";
      pieces.push(...input.texts.slice(1));
      values.push(...input.values);
      pieces[pieces.length - 1] += following;
    } else {
      values.push(bindable(input));
      pieces.push(following);
    }
  });
  return new SqlPiece(pieces, values);
}

function isValue(input: SqlInput): input is Exclude<SqlInput, SqlPiece> {
  return !(input instanceof SqlPiece);
}

function bindable(input: Exclude<SqlInput, SqlPiece>): SqlValue {
  if (input === undefined) return null;
  return input instanceof Date ? input.getTime() : input;
}
