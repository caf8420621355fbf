/**
 * Which rights were taken away, as far as this node has seen. Revocations are numbered in the order
 * of their commits; what was verified after one of a tenant has seen it.
 */
export interface Revocations {
  /** The last one that this node has seen; all before it have been seen too. */
  readonly epoch: number;
  /** The last one that concerns `tenant`; 0 for none. */
  lastOf(tenant: string): number;
  /** False when there may be one that this node had to see by now; then {@link refresh} it. */
  isFresh(): boolean;
  /**
   * Resolves once this node has seen all that were committed before the call.
   * @throws {store_unavailable} when it cannot look.
   */
  refresh(): Promise<void>;
}
