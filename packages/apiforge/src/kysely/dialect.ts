import {
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type Dialect,
  type Driver,
} from "kysely";

import type { SqlRunner } from "../store/index.ts";
import { RunnerConnection } from "./connection.ts";

/** A Kysely dialect whose one connection is an APIForge transaction. */
export function runnerDialect(runner: SqlRunner): Dialect {
  const createDriver = (): Driver => new RunnerDriver(runner);
  if (runner.dialect === "sqlite") {
    return {
      createDriver,
      createAdapter: () => new SqliteAdapter(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    };
  }
  return {
    createDriver,
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  };
}

/** APIForge begins, commits and rolls back; Kysely only runs statements in between. */
class RunnerDriver implements Driver {
  readonly #connection: DatabaseConnection;

  constructor(runner: SqlRunner) {
    this.#connection = new RunnerConnection(runner);
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection;
  }

  async beginTransaction(): Promise<void> {
    refuseTransaction();
  }

  async commitTransaction(): Promise<void> {
    refuseTransaction();
  }

  async rollbackTransaction(): Promise<void> {
    refuseTransaction();
  }

  // Nothing was opened, so there is nothing to open, give back or close.
  async init(): Promise<void> {}
  async releaseConnection(): Promise<void> {}
  async destroy(): Promise<void> {}
}

function refuseTransaction(): never {
  throw new TypeError(
    "This Kysely is part of one APIForge transaction already; use it without transaction().",
  );
}
