import type { QueryResult, Row, SqlFragment, SqlRunner, SqlValue } from "../contract.ts";
import { storeError } from "../errors.ts";
import { command, fragmentCommand, type Command } from "./command.ts";
import type { PostgresConnection } from "./connection.ts";
import { readOnlyFailure } from "./failures.ts";
import type { ConnectionPool } from "./pool.ts";
import type { TenantGuard } from "./tenant-guard.ts";
import { quietly, refuseActorChange, refuseTransactionControl } from "./user-sql.ts";

const beginText = "begin isolation level repeatable read, read only";

/** Reads on one snapshot, each on a connection of its own. */
export class SnapshotReaders {
  readonly #pool: ConnectionPool;
  readonly #guard: TenantGuard | undefined;

  constructor(pool: ConnectionPool, guard: TenantGuard | undefined) {
    this.#pool = pool;
    this.#guard = guard;
  }

  /** Runs `work` on the snapshot that its first statement takes. */
  read<T>(
    label: string,
    work: (runner: SqlRunner) => Promise<T>,
    tenant: string | undefined,
  ): Promise<T> {
    const entering = this.#guard?.enter(tenant);
    let runner: SnapshotRunner | undefined;
    return this.#pool.use(
      label,
      async (connection) => {
        runner = new SnapshotRunner(connection, entering);
        try {
          return await work(runner);
        } finally {
          runner.finish();
        }
      },
      { onCut: () => runner?.end() },
    );
  }
}

class SnapshotRunner implements SqlRunner {
  readonly dialect = "postgres";
  readonly #connection: PostgresConnection;
  /** Holds the snapshot to one tenant's rows; undefined where no table is guarded. */
  readonly #entering: Command | undefined;
  #begun = false;
  #open = true;

  constructor(connection: PostgresConnection, entering: Command | undefined) {
    this.#connection = connection;
    this.#entering = entering;
  }

  query(fragment: SqlFragment): Promise<readonly Row[]> {
    return quietly(this.#run(fragmentCommand(fragment)).then((result) => result.rows));
  }

  queryText(text: string, values: readonly SqlValue[]): Promise<QueryResult> {
    return quietly(this.#run({ text, values }));
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

  /** Goes before the first statement, in the same packet. */
  #opening(): readonly Command[] {
    const begin = command(beginText);
    return this.#entering === undefined ? [begin] : [begin, this.#entering];
  }

  async #run(query: Command): Promise<QueryResult> {
    if (!this.#open) {
      throw storeError(
        "transaction_closed",
        "The read has ended. Await everything that uses it before the handler returns.",
      );
    }
    refuseTransactionControl(query.text);
    if (this.#entering !== undefined) refuseActorChange(query.text);
    const commands = this.#begun ? [query] : [...this.#opening(), query];
    this.#begun = true;
    try {
      const result = (await this.#connection.send(commands)).at(-1);
      return { rows: result?.rows ?? [], changes: result?.changes ?? 0 };
    } catch (error) {
      throw readOnlyFailure(error) ?? error;
    }
  }
}
