import type { QueryResult, Row, SqlFragment, SqlRunner, SqlValue } from "../contract.ts";
import { storeError } from "../errors.ts";
import { command, fragmentCommand, type Command, type PostgresConnection } from "./connection.ts";
import type { ConnectionPool } from "./pool.ts";

const beginText = "begin isolation level repeatable read, read only";

/** Reads on one snapshot, each on a connection of its own. */
export class SnapshotReaders {
  readonly #pool: ConnectionPool;

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  /** Runs `work` on the snapshot that its first statement takes. */
  read<T>(label: string, work: (runner: SqlRunner) => Promise<T>): Promise<T> {
    let runner: SnapshotRunner | undefined;
    return this.#pool.use(
      label,
      async (connection) => {
        runner = new SnapshotRunner(connection);
        try {
          return await work(runner);
        } finally {
          runner.finish();
        }
      },
      () => runner?.end(),
    );
  }
}

class SnapshotRunner implements SqlRunner {
  readonly dialect = "postgres";
  readonly #connection: PostgresConnection;
  #begun = false;
  #open = true;

  constructor(connection: PostgresConnection) {
    this.#connection = connection;
  }

  async query(fragment: SqlFragment): Promise<readonly Row[]> {
    return (await this.#run(fragmentCommand(fragment))).rows;
  }

  queryText(text: string, values: readonly SqlValue[]): Promise<QueryResult> {
    return this.#run({ text, values });
  }

  /** Ends the snapshot. Nobody waits for it: the connection's next user follows in order. */
  finish(): void {
    this.end();
    if (!this.#begun || this.#connection.lost) return;
    this.#connection.send([command("commit")]).catch(() => this.#connection.destroy());
  }

  end(): void {
    this.#open = false;
  }

  #run(text: Command): Promise<QueryResult> {
    const result = this.#send(text);
    // One that the handler does not wait for must not end the process.
    result.catch(() => undefined);
    return result;
  }

  async #send(text: Command): Promise<QueryResult> {
    if (!this.#open) {
      throw storeError(
        "transaction_closed",
        "The read has ended. Await everything that uses it before the handler returns.",
      );
    }
    const commands = this.#begun ? [text] : [command(beginText), text];
    this.#begun = true;
    const result = (await this.#connection.send(commands)).at(-1);
    return { rows: result?.rows ?? [], changes: result?.changes ?? 0 };
  }
}
