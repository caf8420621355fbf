import type { Pool, PoolClient } from "pg";

import { ApiForgeError, type Clock, type Log } from "../../kernel/index.ts";
import { storeError } from "../errors.ts";
import type { Command } from "./command.ts";
import { PostgresConnection } from "./connection.ts";
import { clientConfig, columnTypes, connectTimeoutMs, type PostgresDriver } from "./driver.ts";
import { createExchangeType, type ExecutionResult } from "./exchange.ts";
import { unavailable } from "./failures.ts";

/** Connections of one store when the caller does not say. */
const defaultPoolSize = 10;
/** How much later than ours the server's own limits end a transaction, should this process stall. */
const serverMarginMs = 500;
/** Tries of our own single statements when another transaction was in the way. */
const conflictTries = 3;

/** What a pool is made of. */
export interface PoolOptions {
  readonly url: string;
  readonly poolSize?: number | undefined;
  readonly transactionLimitMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** How a connection is used. */
export interface UseOptions {
  /** Called when time ran out, before the call fails. */
  readonly onCut?: () => void;
  /** True for work that was accepted before the pool began to close. */
  readonly accepted?: boolean;
}

/** One use of a connection, from the wait for it to its return. */
interface Use {
  connection: PostgresConnection | undefined;
  over: boolean;
}

/** A bounded number of connections; each belongs to one unit of work at a time, for a limited time. */
export class ConnectionPool {
  readonly #options: PoolOptions;
  readonly #pool: Pool;
  readonly #connections = new WeakMap<PoolClient, PostgresConnection>();
  #acquiring = 0;
  #onAcquired: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  /** @param onLost called when a connection breaks: the next one may lead to another server. */
  constructor(driver: PostgresDriver, options: PoolOptions, onLost: () => void) {
    const { url, poolSize = defaultPoolSize, transactionLimitMs, log } = options;
    const serverLimitMs = transactionLimitMs + serverMarginMs;
    this.#options = options;
    this.#pool = new driver.Pool({
      ...clientConfig(url),
      pipeline: true,
      max: poolSize,
      // Bounds the wait for a free connection as well.
      connectionTimeoutMillis: connectTimeoutMs,
      idleTimeoutMillis: 0,
      statement_timeout: serverLimitMs,
      idle_in_transaction_session_timeout: serverLimitMs,
    });
    const Exchange = createExchangeType(driver, columnTypes(driver));
    this.#pool.on("connect", (client) => {
      this.#connections.set(client, new PostgresConnection(client, Exchange));
    });
    this.#pool.on("remove", onLost);
    // An idle connection broke; the next unit of work opens another.
    this.#pool.on("error", (error) => {
      if (this.#closing !== undefined) return;
      log.warn({ reason: error.message }, "an idle database connection was lost");
    });
  }

  /**
   * Runs `work` on a connection of its own. After `transactionLimitMs`, counted from the call, the
   * connection is broken and the call fails whatever `work` does.
   * @throws {store_unavailable} when no connection is free in time, or the server does not answer.
   * @throws {transaction_timeout} when time ran out while the server waited for `work`.
   */
  use<T>(
    label: string,
    work: (connection: PostgresConnection) => Promise<T>,
    { onCut, accepted = false }: UseOptions = {},
  ): Promise<T> {
    if (this.#closing !== undefined && !accepted) {
      return Promise.reject(storeError("store_unavailable", "The server is shutting down."));
    }
    const { clock, transactionLimitMs } = this.#options;
    const use: Use = { connection: undefined, over: false };
    return new Promise<T>((resolve, reject) => {
      const limit = clock.after(transactionLimitMs, () => {
        onCut?.();
        this.#cut(label, use, reject);
      });
      this.#work(use, work)
        .finally(() => limit.cancel())
        .then(resolve, reject);
    });
  }

  /** Runs our own statements as one transaction, in one round trip. */
  async run(label: string, commands: readonly Command[]): Promise<readonly ExecutionResult[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.use(label, (connection) => connection.send(commands));
      } catch (error) {
        if (tries === conflictTries || !isConflict(error)) throw error;
      }
    }
  }

  /** Refuses what is new and ends once `drain` has resolved and every use is over. */
  close(drain: () => Promise<void> = async () => undefined): Promise<void> {
    this.#closing ??= this.#close(drain);
    return this.#closing;
  }

  async #close(drain: () => Promise<void>): Promise<void> {
    await drain();
    // A pool that ends serves nobody who still waits for a connection.
    if (this.#acquiring > 0) {
      await new Promise<void>((resolve) => {
        this.#onAcquired = resolve;
      });
    }
    await this.#pool.end();
  }

  async #work<T>(use: Use, work: (connection: PostgresConnection) => Promise<T>): Promise<T> {
    const connection = await this.#acquire();
    use.connection = connection;
    try {
      if (use.over) throw unavailable(new Error("The connection came too late"));
      return await work(connection);
    } finally {
      connection.release();
    }
  }

  #cut(label: string, use: Use, reject: (error: unknown) => void): void {
    const { log, transactionLimitMs } = this.#options;
    const { connection } = use;
    use.over = true;
    if (connection === undefined) {
      reject(unavailable(new Error("No database connection became free in time")));
      return;
    }
    const { busy, committing } = connection;
    connection.destroy();
    // What was sent last fails now, and says by itself that the outcome is unknown.
    if (committing) return;
    if (busy) {
      log.error(
        { label, transactionLimitMs },
        "transaction cut off: the database did not answer in time",
      );
      reject(unavailable(new Error(`The database did not answer within ${transactionLimitMs} ms`)));
      return;
    }
    log.error(
      { label, transactionLimitMs },
      "transaction cut off: it held the database for too long",
    );
    reject(
      storeError(
        "transaction_timeout",
        `The transaction took longer than ${transactionLimitMs} ms and was rolled back. Move slow or external work into a job.`,
      ),
    );
  }

  #acquire(): Promise<PostgresConnection> {
    this.#acquiring += 1;
    return new Promise((resolve, reject) => {
      this.#pool.connect((error, client) => {
        this.#acquiring -= 1;
        if (this.#acquiring === 0) this.#onAcquired?.();
        const connection = client === undefined ? undefined : this.#connections.get(client);
        if (connection === undefined) {
          reject(unavailable(error ?? new Error("The pool gave no connection")));
          return;
        }
        connection.hold();
        resolve(connection);
      });
    });
  }
}

function isConflict(error: unknown): boolean {
  return ApiForgeError.is(error) && error.code === "transaction_conflict";
}
