import type { Principal, Reader, Transaction } from "apiforge";

/** What resolvers of one request work with. */
export interface GraphQLContext {
  /** Of a GET one snapshot, of a POST its transaction. */
  readonly reader: Reader;
  /** Undefined on a GET, which cannot run mutations. */
  readonly tx: Transaction | undefined;
  /** Undefined for a caller without a token. */
  readonly principal: Principal | undefined;
  /** What resolvers failed with, where that was no refusal. */
  readonly failures: unknown[];
}
