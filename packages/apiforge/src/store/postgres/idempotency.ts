import type { IdempotencyRecord, IdempotencyStore, KeyClaim, StoredAnswer } from "../contract.ts";
import { command, type Command } from "./command.ts";
import type { ExecutionResult } from "./exchange.ts";
import type { ConnectionPool } from "./pool.ts";

const lockText = "select pg_try_advisory_xact_lock($1) as locked";
const findText = "select * from forge_idempotency where digest = $1";
const insertText = (seq: string): string =>
  `insert into forge_idempotency
     (digest, fingerprint, idempotency_key, status, headers, body, seq, created_at)
   values ($1, $2, $3, $4, $5, $6, ${seq}, forge_now())
   returning seq`;
// The sequence's value in this session: the last event that this very transaction appended.
const insertAfterEventsText = insertText("currval('forge_event_seq')");
const insertAtHeadText = insertText("(select coalesce(max(seq), 0) from forge_events)");
// Rows are appended, so the oldest are the first: no index on the time is needed.
const sweepText = `delete from forge_idempotency where n = any(array(
     select n from (select n, created_at from forge_idempotency order by n limit $2) oldest
     where created_at < (select forge_now()) - $1::bigint))`;

/**
 * Takes a key for the transaction without waiting for whoever has it. The lock is known to every
 * node and ends with its transaction or connection. 64 bits of the digest, so that two different
 * keys in flight practically never share one.
 */
export function lockKey(digest: Uint8Array): Command {
  return command(lockText, Buffer.from(digest).readBigInt64BE());
}

/** Reads what was recorded under a key. Comes after {@link lockKey}: its snapshot is newer than the lock. */
export function findAnswer(digest: Uint8Array): Command {
  return command(findText, digest);
}

/** What the answers to {@link lockKey} and {@link findAnswer} say. */
export function toKeyClaim(
  digest: Uint8Array,
  lock: ExecutionResult | undefined,
  found: ExecutionResult | undefined,
): KeyClaim {
  const answer = toStoredAnswer(digest, found);
  // What is committed is final, whoever holds the lock to replay it.
  if (answer !== undefined) return { outcome: "recorded", answer };
  return lock?.rows[0]?.["locked"] === true ? { outcome: "free" } : { outcome: "in_flight" };
}

/** Records an answer; `afterEvents` when the same commit has appended events. Answers `seq`. */
export function insertAnswer(record: IdempotencyRecord, afterEvents: boolean): Command {
  return command(
    afterEvents ? insertAfterEventsText : insertAtHeadText,
    record.digest,
    record.fingerprint,
    record.key,
    record.status,
    JSON.stringify(record.headers),
    record.body,
  );
}

/** The answers that were committed under idempotency keys. */
export class IdempotencyTable implements IdempotencyStore {
  readonly #pool: ConnectionPool;

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  async find(digest: Uint8Array): Promise<StoredAnswer | undefined> {
    const [found] = await this.#pool.run("find answer", [findAnswer(digest)]);
    return toStoredAnswer(digest, found);
  }

  async sweep(olderThanMs: number, limit: number): Promise<number> {
    const [swept] = await this.#pool.run("sweep answers", [command(sweepText, olderThanMs, limit)]);
    return swept?.changes ?? 0;
  }
}

function toStoredAnswer(
  digest: Uint8Array,
  found: ExecutionResult | undefined,
): StoredAnswer | undefined {
  const row = found?.rows[0];
  if (row === undefined) return undefined;
  return {
    digest,
    fingerprint: row["fingerprint"] as Uint8Array,
    key: String(row["idempotency_key"]),
    status: Number(row["status"]),
    headers: JSON.parse(String(row["headers"])),
    body: String(row["body"]),
    seq: Number(row["seq"]),
    createdAt: Number(row["created_at"]),
  };
}
