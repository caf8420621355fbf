import type { StatementSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";

import { ApiForgeError, reach, type Timer } from "../../kernel/index.ts";
import type { Committed } from "../contract.ts";
import { storeError } from "../errors.ts";
import type { Checkpointer } from "./checkpointer.ts";
import type { SqliteConnection } from "./connection.ts";
import { isFatal, sqliteFailure } from "./failures.ts";
import { Savepoint } from "./savepoint.ts";
import { cutOff, type TimeLimit } from "./time-limit.ts";
import { SqliteTransaction, type Tables } from "./transaction.ts";
import type { WalSync } from "./wal-sync.ts";

/** Most units that share one commit. */
const groupUnits = 256;
/** Time after which a group commits though more units wait, so that answers and reads are not held up. */
const groupMs = 8;
/** A unit that keeps the event loop busy for longer is named in the log. */
const slowUnitMs = 50;

/** One unit of work that waits for its group. */
interface Unit {
  readonly label: string;
  work(tx: SqliteTransaction): Promise<unknown>;
  resolve(committed: Committed<unknown>): void;
  reject(error: unknown): void;
}

/** A unit that ran in the open group: its answer waits for the commit. */
interface Ran {
  readonly unit: Unit;
  readonly committed: Committed<unknown>;
}

/** What is needed to cut a unit off. */
interface Watch {
  readonly label: string;
  readonly startedAt: number;
  readonly tx: SqliteTransaction;
  readonly reject: (error: unknown) => void;
}

/** What the writer is made of. */
export interface WriterParts extends TimeLimit {
  readonly connection: SqliteConnection;
  readonly tables: Tables;
  readonly sync: WalSync;
  readonly checkpointer: Checkpointer | undefined;
}

/**
 * Group commit: units run one after another, each undone alone, many in one transaction; one
 * sync of the log makes the whole group durable and only then do its answers leave. The next group
 * runs while the last one is being synced.
 */
export class GroupWriter {
  readonly #parts: WriterParts;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #savepoint: Savepoint;
  readonly #queue: Unit[] = [];
  #draining: Promise<void> | undefined;
  /** The unit that runs now. */
  #watch: Watch | undefined;
  #limit: Timer | undefined;
  #logPages = 0;
  #closed = false;
  #commits = 0;
  #units = 0;

  constructor(parts: WriterParts) {
    this.#parts = parts;
    const { connection } = parts;
    this.#begin = connection.prepare("begin immediate");
    this.#commit = connection.prepare("commit");
    this.#savepoint = new Savepoint(connection);
  }

  /** Runs `work` in the next group; resolves when its commit is on disk. */
  run<T>(label: string, work: (tx: SqliteTransaction) => Promise<T>): Promise<Committed<T>> {
    if (this.#closed)
      return Promise.reject(storeError("store_unavailable", "The server is shutting down."));
    // Nothing can be promised any more, so nothing more is begun.
    if (this.#parts.sync.failure !== undefined) return Promise.reject(this.#parts.sync.refusal());
    return new Promise<Committed<T>>((resolve, reject) => {
      // The unit's value travels through the queue untyped; `work` made it.
      this.#queue.push({ label, work, resolve: resolve as Unit["resolve"], reject });
      this.#draining ??= this.#drain();
    });
  }

  /** Groups that were committed, and units in them. */
  get work(): { readonly commits: number; readonly units: number } {
    return { commits: this.#commits, units: this.#units };
  }

  /** Finishes what was accepted and refuses the rest. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
    this.#limit?.cancel();
    await this.#parts.sync.close();
  }

  async #drain(): Promise<void> {
    // Requests that arrived in the same turn of the event loop join the first group.
    await nextTurn();
    while (this.#queue.length > 0) {
      await this.#runGroup();
      await this.#parts.checkpointer?.afterGroup(this.#logPages);
      await nextTurn();
    }
    this.#draining = undefined;
  }

  async #runGroup(): Promise<void> {
    const ran: Ran[] = [];
    let committing = false;
    try {
      this.#begin.run();
    } catch (error) {
      this.#refuseAll(error);
      return;
    }
    try {
      const startedAt = performance.now();
      do {
        const unit = this.#queue.shift();
        if (unit === undefined) break;
        await this.#runUnit(unit, ran);
      } while (ran.length < groupUnits && performance.now() - startedAt < groupMs);
      reach("before-commit");
      committing = true;
      this.#commit.run();
    } catch (error) {
      this.#abandonGroup(ran, error, committing);
      return;
    }
    this.#commits += 1;
    this.#units += ran.length;
    void this.#answer(ran, this.#hasWritten());
  }

  #hasWritten(): boolean {
    const before = this.#logPages;
    this.#logPages = this.#parts.checkpointer?.logPages() ?? 0;
    return this.#logPages !== before;
  }

  async #runUnit(unit: Unit, ran: Ran[]): Promise<void> {
    const { connection, tables, log } = this.#parts;
    const head = tables.events.head;
    const tx = new SqliteTransaction(connection, tables, this.#savepoint);
    const startedAt = performance.now();
    try {
      const value = await this.#withinLimit(unit, tx);
      ran.push({ unit, committed: { value, seq: tx.flush() } });
    } catch (error) {
      tables.events.rewind(head);
      unit.reject(sqliteFailure(error));
      this.#undo(tx, error);
    } finally {
      tx.end();
      this.#watch = undefined;
      const elapsedMs = performance.now() - startedAt;
      if (elapsedMs > slowUnitMs) {
        log.warn(
          { label: unit.label, elapsedMs: Math.round(elapsedMs) },
          "slow transaction held all writers",
        );
      }
    }
  }

  /** The unit's value, or `transaction_timeout` when it does not settle in time. */
  #withinLimit(unit: Unit, tx: SqliteTransaction): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#watch = { label: unit.label, startedAt: this.#parts.clock.now(), tx, reject };
      this.#limit ??= this.#armLimit(this.#parts.transactionLimitMs);
      unit.work(tx).then(resolve, reject);
    });
  }

  /**
   * One timer watches all units: nearly every unit ends in the turn of the event loop in which it
   * began, and a timer of its own would be a twentieth of its cost.
   */
  #armLimit(delayMs: number): Timer {
    const { clock, transactionLimitMs } = this.#parts;
    return clock.after(delayMs, () => {
      this.#limit = undefined;
      const watch = this.#watch;
      if (watch === undefined) return;
      const restMs = watch.startedAt + transactionLimitMs - clock.now();
      if (restMs > 0) this.#limit = this.#armLimit(restMs);
      else this.#cutOff(watch);
    });
  }

  #cutOff({ label, tx, reject }: Watch): void {
    tx.end();
    reject(cutOff(this.#parts, label));
  }

  /** Undoes one unit, or throws `error` where the whole group has to go. */
  #undo(tx: SqliteTransaction, error: unknown): void {
    // SQLite rolls the whole transaction back by itself on a full disk or an I/O error.
    const isRolledBack = !this.#parts.connection.database.isTransaction;
    if (isRolledBack || isFatal(error) || !tx.undo()) throw error;
  }

  /** Nothing can be written right now. Whoever waits is told, rather than kept until it can. */
  #refuseAll(error: unknown): void {
    const refused = this.#queue.splice(0);
    this.#parts.log.error({ error, units: refused.length }, "no transaction could be begun");
    for (const unit of refused) unit.reject(sqliteFailure(error));
  }

  #abandonGroup(ran: readonly Ran[], error: unknown, committing: boolean): void {
    const { connection, tables, log } = this.#parts;
    if (connection.database.isTransaction) connection.database.exec("rollback");
    tables.events.reload();
    log.error({ error, units: ran.length }, "commit failed");
    // A commit fails for the fault of one unit where a constraint is checked that late. Nobody can
    // tell which; only a unit that was alone has earned the error.
    const alone = committing && ran.length === 1;
    for (const { unit } of ran)
      unit.reject(alone ? sqliteFailure(error) : neighboursFailure(error));
  }

  async #answer(ran: readonly Ran[], hasWritten: boolean): Promise<void> {
    if (ran.length === 0) return;
    try {
      // A group that only read waits for what it may have seen, and causes no sync of its own.
      await (hasWritten ? this.#parts.sync.wait() : this.#parts.sync.settled());
      reach("after-commit");
      for (const { unit, committed } of ran) unit.resolve(committed);
    } catch (error) {
      for (const { unit } of ran) unit.reject(error);
    }
  }
}

/** What the failure of a shared commit means to those who did not cause it: nothing happened, try again. */
function neighboursFailure(error: unknown): unknown {
  const failure = sqliteFailure(error);
  if (ApiForgeError.is(failure) && failure.retryable) return failure;
  return storeError(
    "store_unavailable",
    "The commit that this request shared with others failed. Try again.",
    {
      cause: error,
      retryAfterSeconds: 1,
    },
  );
}
