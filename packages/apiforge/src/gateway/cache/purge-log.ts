import type { Transaction } from "../../durable/index.ts";
import type { Purge } from "./memory-store.ts";

/** The purges that a deployment has committed, numbered in the order of their commits, as far as this node has seen them. */
export interface PurgeLog {
  /** The last one that was seen; all before it have been too. */
  readonly epoch: number;
  /** False when there may be one that this node had to see by now; then {@link refresh} it. */
  isFresh(): boolean;
  /**
   * Resolves once this node has seen all that were committed before the call.
   * @throws {store_unavailable} when it cannot look.
   */
  refresh(): Promise<void>;
  /** Purges the caches of this name on all nodes with the commit of `tx`. */
  purge(tx: Transaction, cache: string, purges: readonly Purge[]): Promise<void>;
}
