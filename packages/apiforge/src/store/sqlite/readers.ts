import type { StatementSync } from "node:sqlite";

import type { QueryResult, Row, SqlFragment, SqlRunner, SqlValue } from "../contract.ts";
import { storeError } from "../errors.ts";
import { openReader, type SqliteConnection } from "./connection.ts";
import { readFailure, sqliteFailure } from "./failures.ts";
import { withinLimit, type TimeLimit } from "./time-limit.ts";

/** A reading connection with the statements of its snapshot. */
interface Reader {
  readonly connection: SqliteConnection;
  readonly begin: StatementSync;
  readonly end: StatementSync;
}

/** Connections that see committed data only; one is in use for the length of one read. */
export class ReaderPool {
  readonly #path: string;
  readonly #limit: TimeLimit;
  readonly #idle: Reader[] = [];
  readonly #reads = new Set<Promise<unknown>>();
  #closed = false;

  constructor(path: string, limit: TimeLimit) {
    this.#path = path;
    this.#limit = limit;
  }

  /** Runs `work` on one snapshot. One that is kept for too long lets the log grow without end, so it is cut off. */
  async read<T>(label: string, work: (runner: SqlRunner) => Promise<T>): Promise<T> {
    if (this.#closed) throw storeError("store_unavailable", "The server is shutting down.");
    const reading = this.#read(label, work);
    this.#reads.add(reading);
    try {
      return await reading;
    } finally {
      this.#reads.delete(reading);
    }
  }

  /** Finishes the reads that have begun and refuses the rest. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#reads);
    for (const reader of this.#idle.splice(0)) reader.connection.close();
  }

  async #read<T>(label: string, work: (runner: SqlRunner) => Promise<T>): Promise<T> {
    const reader = this.#idle.pop() ?? this.#open();
    const runner = new SnapshotRunner(reader.connection);
    try {
      reader.begin.run();
      return await withinLimit(this.#limit, label, () => work(runner), () => runner.end());
    } catch (error) {
      throw sqliteFailure(error);
    } finally {
      runner.end();
      if (reader.connection.database.isTransaction) reader.end.run();
      this.#idle.push(reader);
    }
  }

  #open(): Reader {
    const connection = openReader(this.#path);
    return { connection, begin: connection.prepare("begin"), end: connection.prepare("rollback") };
  }
}

class SnapshotRunner implements SqlRunner {
  readonly dialect = "sqlite";
  readonly #connection: SqliteConnection;
  #open = true;

  constructor(connection: SqliteConnection) {
    this.#connection = connection;
  }

  async query(fragment: SqlFragment): Promise<readonly Row[]> {
    return this.#run(fragment.texts.join("?"), fragment.values).rows;
  }

  async queryText(text: string, values: readonly SqlValue[]): Promise<QueryResult> {
    return this.#run(text, values);
  }

  end(): void {
    this.#open = false;
  }

  #run(text: string, values: readonly SqlValue[]): QueryResult {
    if (!this.#open) {
      throw storeError("transaction_closed", "The read has ended. Await everything that uses it before the handler returns.");
    }
    try {
      return this.#connection.query(text, values);
    } catch (error) {
      throw readFailure(error);
    }
  }
}
