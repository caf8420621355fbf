import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import { toStoredAnswer } from "../answer-row.ts";
import type { IdempotencyRecord, StoredAnswer } from "../contract.ts";
import { storeError } from "../errors.ts";
import type { SqliteConnection } from "./connection.ts";

/** The answers that were committed under idempotency keys. */
export class IdempotencyTable {
  readonly #clock: Clock;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  readonly #sweep: StatementSync;

  constructor(connection: SqliteConnection, clock: Clock) {
    this.#clock = clock;
    this.#find = connection.prepare("select * from forge_idempotency where digest = ?");
    this.#insert = connection.prepare(
      `insert into forge_idempotency
         (digest, fingerprint, idempotency_key, status, headers, body, seq, created_at)
       values (?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    // Rows are appended, so the oldest are the first: no index on the time is needed.
    this.#sweep = connection.prepare(
      `delete from forge_idempotency where n in
         (select n from (select n, created_at from forge_idempotency order by n limit ?) where created_at < ?)`,
    );
  }

  find(digest: Uint8Array): StoredAnswer | undefined {
    const row = this.#find.get(digest);
    return row === undefined ? undefined : toStoredAnswer(digest, row);
  }

  /** @throws {idempotency_key_taken} when the key is answered already. */
  requireFree({ digest }: IdempotencyRecord): void {
    if (this.#find.get(digest) === undefined) return;
    throw storeError(
      "idempotency_key_taken",
      "Another request with this idempotency key was answered first.",
    );
  }

  /** Inserts an answer under a free key. */
  insert(record: IdempotencyRecord, seq: number): void {
    this.#insert.run(
      record.digest,
      record.fingerprint,
      record.key,
      record.status,
      JSON.stringify(record.headers),
      record.body,
      seq,
      this.#clock.now(),
    );
  }

  sweep(olderThanMs: number, limit: number): number {
    return Number(this.#sweep.run(limit, this.#clock.now() - olderThanMs).changes);
  }
}
