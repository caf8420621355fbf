import { isDeepStrictEqual } from "node:util";

import { ApiForgeError } from "../../kernel/index.ts";
import type { KeyClaim } from "../contract.ts";
import { storeError } from "../errors.ts";
import type { Command } from "./command.ts";
import type { ExecutionResult } from "./exchange.ts";
import type { LoneSession } from "./lone-session.ts";
import { isPlain } from "./plain-statement.ts";
import type { UnitSession } from "./unit-session.ts";

/** A question that waits to be sent. */
export type Ask = ClaimAsk | StatementAsk;

interface ClaimAsk {
  readonly kind: "claim";
  readonly digest: Uint8Array;
  readonly resolve: (claim: KeyClaim) => void;
  readonly reject: (error: unknown) => void;
}

interface StatementAsk {
  readonly kind: "statement";
  readonly command: Command;
  /** What goes before it in the same packet. */
  readonly before: readonly Command[];
  readonly resolve: (result: ExecutionResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A unit's place in a group. It may claim one key there and then execute one plain statement;
 * whatever else it asks waits until it has a connection of its own.
 */
export class Seat implements UnitSession {
  readonly inTransaction = true;
  #ask: Ask | undefined;
  #claimed: { readonly digest: Uint8Array; readonly outcome: string } | undefined;
  #executed: { readonly ask: StatementAsk; readonly result: ExecutionResult } | undefined;
  #leaving = false;
  readonly #moved = Promise.withResolvers<LoneSession>();

  constructor() {
    // Nobody waits for it where the unit asks nothing more.
    this.#moved.promise.catch(() => undefined);
  }

  /** What waits to be sent. */
  get ask(): Ask | undefined {
    return this.#ask;
  }

  /** True when the unit has to go on alone. */
  get leaving(): boolean {
    return this.#leaving;
  }

  /** True once the group's transaction holds something that the unit did. */
  get executed(): boolean {
    return this.#executed !== undefined;
  }

  async claimKey(digest: Uint8Array): Promise<KeyClaim> {
    if (this.#claimed !== undefined || this.#executed !== undefined || this.#ask !== undefined)
      this.leave();
    if (this.#leaving) return (await this.#moved.promise).claimKey(digest);
    return new Promise((resolve, reject) => {
      this.#ask = { kind: "claim", digest, resolve, reject };
    });
  }

  async query(command: Command, before: readonly Command[]): Promise<ExecutionResult> {
    if (this.#executed !== undefined || this.#ask !== undefined || !isPlain(command)) this.leave();
    if (this.#leaving) return (await this.#moved.promise).query(command, before);
    return new Promise((resolve, reject) => {
      this.#ask = { kind: "statement", command, before, resolve, reject };
    });
  }

  async send(commands: readonly Command[]): Promise<readonly ExecutionResult[]> {
    this.leave();
    return (await this.#moved.promise).send(commands);
  }

  /** Answers the claim that waited. */
  answerClaim(claim: KeyClaim): void {
    const ask = this.#ask;
    if (ask?.kind !== "claim") return;
    this.#ask = undefined;
    this.#claimed = { digest: ask.digest, outcome: claim.outcome };
    ask.resolve(claim);
  }

  /** Answers the statement that waited. */
  answerStatement(result: ExecutionResult): void {
    const ask = this.#ask;
    if (ask?.kind !== "statement") return;
    this.#ask = undefined;
    this.#executed = { ask, result };
    ask.resolve(result);
  }

  /** Sends nothing more of the unit to the group. */
  leave(): void {
    this.#leaving = true;
  }

  /**
   * Moves the unit to a connection of its own: what the group did for it is done again there, then
   * what it waits for.
   * @throws {transaction_conflict} when that answers anything else than what the handler was told.
   */
  async move(session: LoneSession): Promise<void> {
    this.leave();
    await this.#repeat(session);
    const ask = this.#ask;
    this.#ask = undefined;
    if (ask?.kind === "claim") session.claimKey(ask.digest).then(ask.resolve, ask.reject);
    if (ask?.kind === "statement")
      session.query(ask.command, ask.before).then(ask.resolve, ask.reject);
    this.#moved.resolve(session);
  }

  /** Fails whatever the unit asks or will ask. */
  refuse(error: unknown): void {
    this.leave();
    this.#ask?.reject(error);
    this.#ask = undefined;
    this.#moved.reject(error);
  }

  async #repeat(session: LoneSession): Promise<void> {
    if (this.#claimed !== undefined) {
      const { outcome } = await session.claimKey(this.#claimed.digest);
      if (outcome !== this.#claimed.outcome) throw notTheSame();
    }
    if (this.#executed === undefined) return;
    const { ask, result } = this.#executed;
    const again = await session.query(ask.command, ask.before).catch((error: unknown) => {
      throw ApiForgeError.is(error) && error.code === "store_query_failed"
        ? notTheSame(error)
        : error;
    });
    if (!isDeepStrictEqual(again, result)) throw notTheSame();
  }
}

function notTheSame(cause?: unknown): Error {
  return storeError(
    "transaction_conflict",
    "Another transaction changed what this one was told before it could commit. Try again.",
    { cause, retryAfterSeconds: 1 },
  );
}
