import type { PoolClient } from "pg";

import type { ApiForgeError } from "../../kernel/index.ts";
import { storeError } from "../errors.ts";
import { toParameter, type Command } from "./command.ts";
import type { Execution, ExchangeType, ExecutionResult, PreparedStatement } from "./exchange.ts";
import { endsSession, postgresFailure, unavailable } from "./failures.ts";

// Each costs memory in the server, on every connection of the pool.
const statementCacheSize = 200;

/** One connection with its prepared statements. Used by one unit of work at a time. */
export class PostgresConnection {
  readonly #client: PoolClient;
  readonly #Exchange: ExchangeType;
  readonly #statements = new Map<string, PreparedStatement>();
  #prepared = 0;
  #unanswered = 0;
  #committing = false;
  #lost = false;
  #held = false;

  constructor(client: PoolClient, Exchange: ExchangeType) {
    this.#client = client;
    this.#Exchange = Exchange;
    // A connection that breaks fails the calls that wait for it; without a listener it ends the process.
    client.on("error", () => {
      this.#lost = true;
    });
  }

  /** True while an answer of the server is outstanding. */
  get busy(): boolean {
    return this.#unanswered > 0;
  }

  /** True once COMMIT was sent and until it is answered. */
  get committing(): boolean {
    return this.#committing;
  }

  /** True when the server has an open transaction that has not failed. */
  get inTransaction(): boolean {
    return this.#client.getTransactionStatus() === "T";
  }

  /** True when nothing can be sent any more. */
  get lost(): boolean {
    return this.#lost;
  }

  /**
   * Executes `commands` in one round trip. Several calls without waiting follow one another.
   * @throws what {@link postgresFailure} makes of the first error.
   */
  send(commands: readonly Command[]): Promise<readonly ExecutionResult[]> {
    if (this.#lost) return Promise.reject(unavailable(new Error("The connection was lost before")));
    const closing: string[] = [];
    const executions = commands.map((one) => this.#execution(one, closing));
    this.#unanswered += 1;
    return new Promise((resolve, reject) => {
      const exchange = new this.#Exchange(closing, executions, (error, results) => {
        this.#unanswered -= 1;
        if (error === undefined) resolve(results);
        else reject(this.#failure(error));
      });
      this.#client.query(exchange);
    });
  }

  /**
   * Executes `commands`, the last of which is COMMIT, and answers the results of all.
   * @throws {commit_outcome_unknown} when the connection broke before the answer.
   * @throws {store_query_failed} when PostgreSQL answered COMMIT by a rollback.
   */
  async commit(commands: readonly Command[]): Promise<readonly ExecutionResult[]> {
    if (this.#lost) throw unavailable(new Error("The connection was lost before COMMIT"));
    this.#committing = true;
    try {
      const results = await this.send(commands);
      requireCommitted(results.at(-1));
      return results;
    } catch (error) {
      throw this.#lost ? outcomeUnknown(error) : error;
    } finally {
      this.#committing = false;
    }
  }

  /** Marks the connection as taken from the pool. */
  hold(): void {
    this.#held = true;
  }

  /** Gives the connection back to the pool, or out of it when it is lost or still in a transaction. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    const unfinished = !this.busy && this.#client.getTransactionStatus() !== "I";
    this.#client.release(this.#lost || unfinished);
  }

  /** Breaks the connection; the server rolls back what it had open, and waiting calls fail. */
  destroy(): void {
    this.#lost = true;
    this.#client.connection.stream.destroy();
    this.release();
  }

  #failure(error: Error): Error {
    if (endsSession(error)) this.#lost = true;
    return postgresFailure(error, { connectionLost: this.#lost });
  }

  #execution({ text, values }: Command, closing: string[]): Execution {
    return { statement: this.#statement(text, closing), parameters: values.map(toParameter) };
  }

  /** The prepared statement of `text`; the one least recently used makes room for a new one. */
  #statement(text: string, closing: string[]): PreparedStatement {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = { name: `forge_${++this.#prepared}`, text, state: "new", columns: undefined };
      const oldest = this.#statements.values().next().value;
      if (oldest !== undefined && this.#statements.size >= statementCacheSize) {
        this.#statements.delete(oldest.text);
        closing.push(oldest.name);
      }
    } else {
      this.#statements.delete(text);
    }
    this.#statements.set(text, statement);
    return statement;
  }
}

function requireCommitted(result: ExecutionResult | undefined): void {
  if (result?.tag === "COMMIT") return;
  throw storeError(
    "store_query_failed",
    "PostgreSQL rolled the transaction back instead of committing it: a statement of it had failed.",
  );
}

function outcomeUnknown(cause: unknown): ApiForgeError {
  return storeError(
    "commit_outcome_unknown",
    "The database did not say whether the transaction was committed. Send the same request again with its idempotency key.",
    { cause, retryAfterSeconds: 1 },
  );
}
