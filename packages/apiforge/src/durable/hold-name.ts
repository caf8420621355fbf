import { hash } from "node:crypto";

import type { Transaction } from "./transaction.ts";

/**
 * Holds `name` until `tx` ends: of transactions that ask for one name, on any node, one goes on and
 * then sees what those before it committed. SQLite's writes follow one another in any case.
 */
export async function holdName(tx: Transaction, name: string): Promise<void> {
  const { runner } = tx;
  if (runner.dialect === "sqlite") return;
  const digest = hash("sha256", name, "buffer");
  // Two numbers: a space of their own beside the one number by which keys and the log are locked.
  const parts = [digest.readInt32BE(0), digest.readInt32BE(4)];
  await runner.queryText("select pg_advisory_xact_lock($1::integer, $2::integer)", parts);
}
