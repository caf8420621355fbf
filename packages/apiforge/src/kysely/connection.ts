import {
  SelectQueryNode,
  type CompiledQuery,
  type DatabaseConnection,
  type QueryResult,
} from "kysely";

import type { SqlRunner, SqlValue } from "../store/index.ts";

/** Runs Kysely's compiled queries in an APIForge transaction. */
export class RunnerConnection implements DatabaseConnection {
  readonly #runner: SqlRunner;

  constructor(runner: SqlRunner) {
    this.#runner = runner;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { rows, changes } = await this.#runner.queryText(
      query.sql,
      query.parameters.map(toSqlValue),
    );
    // Kysely's types say what its rows are; the database returned them.
    const result = { rows: rows as R[] };
    if (SelectQueryNode.is(query.query)) return result;
    return { ...result, numAffectedRows: BigInt(changes || rows.length) };
  }

  // oxlint-disable-next-line require-yield -- the interface asks for a generator; there is no cursor to stream from
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new TypeError("A transaction is short: select a page of rows instead of streaming them.");
  }
}

function toSqlValue(parameter: unknown): SqlValue {
  if (parameter === null || parameter === undefined) return null;
  if (parameter instanceof Date) return parameter.getTime();
  if (parameter instanceof Uint8Array) return parameter;
  if (isPlain(parameter)) return parameter;
  throw new TypeError(
    "Only text, numbers, booleans, dates, bytes and null can be bound; write JSON with JSON.stringify.",
  );
}

const plainTypes: ReadonlySet<string> = new Set(["string", "number", "bigint", "boolean"]);

function isPlain(parameter: unknown): parameter is string | number | bigint | boolean {
  return plainTypes.has(typeof parameter);
}
