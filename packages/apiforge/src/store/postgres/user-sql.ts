import { storeError } from "../errors.ts";

const blank = String.raw`(?:\s|;|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)*`;
const verbs = String.raw`(?:begin|start|commit|end|rollback|abort|savepoint|release|prepare\s+transaction)`;
const control = new RegExp(String.raw`^${blank}${verbs}\b`, "is");

/**
 * Refuses a statement by which a handler would end or split the transaction that it is in.
 * @throws {store_query_failed}
 */
export function refuseTransactionControl(text: string): void {
  if (!control.test(text)) return;
  throw storeError(
    "store_query_failed",
    "A handler's SQL cannot begin or end transactions: its return commits and its throw rolls back.",
  );
}

const settings = new RegExp(
  String.raw`^${blank}(?:set|reset|discard)\b|\bset_config\b|\bforge\s*\.\s*tenant\b`,
  "is",
);

/**
 * Refuses a statement by which a handler would change whom it acts for.
 * @throws {store_query_failed}
 */
export function refuseActorChange(text: string): void {
  if (!settings.test(text)) return;
  throw storeError(
    "store_query_failed",
    "Beside tenant tables a handler's SQL cannot change settings: they say whose rows it sees.",
  );
}

/** Keeps a failed statement that the handler does not wait for from ending the process; the commit fails instead. */
export function quietly<T>(result: Promise<T>): Promise<T> {
  result.catch(() => undefined);
  return result;
}
