import type { KeyClaim } from "../contract.ts";
import type { Command } from "./command.ts";
import type { ExecutionResult } from "./exchange.ts";

/** Where the statements of one unit of work go: a connection of its own, or one that it shares with a group. */
export interface UnitSession {
  /** True while the unit's transaction is open and has not failed. */
  readonly inTransaction: boolean;
  /** Asks for an idempotency key. */
  claimKey(digest: Uint8Array): Promise<KeyClaim>;
  /** Executes one statement of the handler, after what goes before it in the same packet. */
  query(command: Command, before: readonly Command[]): Promise<ExecutionResult>;
  /** Executes statements of ours in one round trip. */
  send(commands: readonly Command[]): Promise<readonly ExecutionResult[]>;
}
