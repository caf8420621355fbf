import type { StatementSync } from "node:sqlite";

import type { SqliteConnection } from "./connection.ts";

/** What undoes one unit alone among those that share its commit. */
export class Savepoint {
  readonly #begin: StatementSync;
  readonly #release: StatementSync;
  readonly #rollBackTo: StatementSync;

  constructor(connection: SqliteConnection) {
    this.#begin = connection.prepare("savepoint unit");
    this.#release = connection.prepare("release unit");
    this.#rollBackTo = connection.prepare("rollback to unit");
  }

  begin(): void {
    this.#begin.run();
  }

  release(): void {
    this.#release.run();
  }

  rollBack(): void {
    this.#rollBackTo.run();
    this.#release.run();
  }
}
