import type { Clock } from "../../kernel/index.ts";
import type { KeyClaim } from "../contract.ts";
import { command, type Command } from "./command.ts";
import type { PostgresConnection } from "./connection.ts";
import type { ExecutionResult } from "./exchange.ts";
import { findAnswer, lockKey, toKeyClaim } from "./idempotency.ts";
import type { Conduct } from "./labels.ts";
import { isPlain } from "./plain-statement.ts";
import type { UnitSession } from "./unit-session.ts";

/** Longest time of a statement whose unit is quick; in a group, the longest wait for a lock. */
export const quickStatementMs = 50;

const noResult: ExecutionResult = { rows: [], changes: 0, tag: "" };

/** A unit of work on a connection of its own; BEGIN travels with whatever is sent first. */
export class LoneSession implements UnitSession {
  readonly #connection: PostgresConnection;
  readonly #clock: Clock;
  #begun = false;
  #statements = 0;
  #fit = true;
  #slow = false;

  constructor(connection: PostgresConnection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  get inTransaction(): boolean {
    return this.#connection.inTransaction;
  }

  async claimKey(digest: Uint8Array): Promise<KeyClaim> {
    const [lock, found] = await this.#send([lockKey(digest), findAnswer(digest)]);
    return toKeyClaim(digest, lock, found);
  }

  async query(query: Command, before: readonly Command[]): Promise<ExecutionResult> {
    this.#statements += 1;
    if (this.#statements > 1 || !isPlain(query)) this.#fit = false;
    const sentAt = this.#clock.now();
    const result = (await this.#send([...before, query])).at(-1) ?? noResult;
    if (this.#clock.now() - sentAt > quickStatementMs) this.#slow = true;
    return result;
  }

  send(commands: readonly Command[]): Promise<readonly ExecutionResult[]> {
    this.#fit = false;
    return this.#send(commands);
  }

  /** Writes, asks `reads` and commits, in one round trip; answers the results of both. */
  async commit(
    writes: readonly Command[],
    reads: readonly Command[],
  ): Promise<readonly ExecutionResult[]> {
    // A unit that asked nothing and wrote nothing has nothing to commit.
    if (!this.#begun && writes.length === 0) return this.#connection.send(reads);
    const begin = this.#begin();
    return this.#connection.commit([...begin, ...writes, ...reads, command("commit")]);
  }

  /** Undoes everything. What the connection still has open after a failure ends with it. */
  async rollback(): Promise<void> {
    if (!this.#begun || this.#connection.lost) return;
    try {
      await this.#connection.send([command("rollback")]);
    } catch {
      this.#connection.destroy();
    }
  }

  /** What the unit showed of itself; undefined when that is nothing. */
  conduct(end: "committed" | "failed"): Conduct | undefined {
    if (!this.#fit) return "unfit";
    if (end === "failed")
      return this.#statements > 0 && !this.#connection.lost ? "unfit" : undefined;
    return this.#slow ? "slow" : "quick";
  }

  async #send(commands: readonly Command[]): Promise<readonly ExecutionResult[]> {
    const begin = this.#begin();
    const results = await this.#connection.send([...begin, ...commands]);
    return results.slice(begin.length);
  }

  #begin(): readonly Command[] {
    if (this.#begun) return [];
    this.#begun = true;
    return [command("begin")];
  }
}
