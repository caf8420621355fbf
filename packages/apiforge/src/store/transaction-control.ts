import { storeError } from "./errors.ts";

// Whatever may stand before a statement's first word.
const beginning = String.raw`^(?:\s|;|--[^\n]*\n|/\*[^]*?\*/)*`;
const control = "begin|start|commit|end|rollback|abort|savepoint|release|prepare\\s+transaction";
const transactionControl = new RegExp(`${beginning}(?:${control})\\b`, "i");

/**
 * Lets only statements through that leave the transaction open: one that ended it would commit
 * half of a request, and on SQLite the requests that share its commit.
 * @throws {store_query_failed} for `begin`, `commit`, `rollback`, `savepoint` and their kin.
 */
export function refuseTransactionControl(text: string): void {
  if (!transactionControl.test(text)) return;
  throw storeError(
    "store_query_failed",
    "A statement must not begin or end a transaction: APIForge commits when the handler returns and rolls back when it throws.",
  );
}
