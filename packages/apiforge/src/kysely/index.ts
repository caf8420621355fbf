import { Kysely } from "kysely";

import type { Reader } from "../durable/index.ts";
import { runnerDialect } from "./dialect.ts";

/**
 * Kysely on an APIForge transaction: `kyselyOf<Database>(tx).insertInto("orders").values(…).execute()`.
 * Its statements commit and roll back with everything else of `tx`; it has no life of its own, so
 * `transaction()` and streaming are refused. `Date` is bound as epoch milliseconds, as in `tx.sql`.
 */
export function kyselyOf<Database>(tx: Reader): Kysely<Database> {
  return new Kysely<Database>({ dialect: runnerDialect(tx.runner) });
}
