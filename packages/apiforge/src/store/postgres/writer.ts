import { reach } from "../../kernel/index.ts";
import type { Committed, StoreTransaction } from "../contract.ts";
import type { EventLog } from "./events.ts";
import type { ConnectionPool } from "./pool.ts";
import type { TenantGuard } from "./tenant-guard.ts";
import { PostgresTransaction } from "./transaction.ts";

/**
 * One transaction per unit of work. It begins with the first thing that the unit asks, in the same
 * round trip; what was put into the commit is written together with COMMIT, in another.
 */
export class UnitWriter {
  readonly #pool: ConnectionPool;
  readonly #log: EventLog;
  readonly #guard: TenantGuard | undefined;

  constructor(pool: ConnectionPool, log: EventLog, guard: TenantGuard | undefined) {
    this.#pool = pool;
    this.#log = log;
    this.#guard = guard;
  }

  /** Runs `work` in a transaction; resolves when its commit is on disk. */
  run<T>(label: string, work: (tx: StoreTransaction) => Promise<T>): Promise<Committed<T>> {
    let tx: PostgresTransaction | undefined;
    return this.#pool.use(
      label,
      (connection) => {
        tx = new PostgresTransaction(connection, this.#log, this.#guard);
        return runUnit(tx, work);
      },
      () => tx?.end(),
    );
  }
}

async function runUnit<T>(
  tx: PostgresTransaction,
  work: (tx: StoreTransaction) => Promise<T>,
): Promise<Committed<T>> {
  try {
    const value = await work(tx);
    reach("before-commit");
    const seq = await tx.commit();
    reach("after-commit");
    return { value, seq };
  } catch (error) {
    await tx.rollback();
    throw error;
  }
}
