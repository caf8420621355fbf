import { toStoredAnswer } from "../answer-row.ts";
import type { IdempotencyRecord, IdempotencyStore, KeyClaim, StoredAnswer } from "../contract.ts";
import { command, type Command } from "./command.ts";
import type { ExecutionResult } from "./exchange.ts";
import type { ConnectionPool } from "./pool.ts";

const lockText = "select pg_try_advisory_xact_lock($1) as locked";
const findText = "select * from forge_idempotency where digest = $1";
/** The columns that {@link toAnswerRow} fills. */
export const answerColumns = "digest, fingerprint, idempotency_key, status, headers, body";
/** Their types. */
export const answerTypes = ["bytea", "bytea", "text", "integer", "text", "text"];
const insertText = (seq: string): string =>
  `insert into forge_idempotency (${answerColumns}, seq, created_at)
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
  const answer = foundAnswer(digest, found);
  // What is committed is final, whoever holds the lock to replay it.
  if (answer !== undefined) return { outcome: "recorded", answer };
  return lock?.rows[0]?.["locked"] === true ? { outcome: "free" } : { outcome: "in_flight" };
}

const lockManyText =
  "select pg_try_advisory_xact_lock(digest) as locked from unnest($1::bigint[]) as digest";
const findManyText = "select * from forge_idempotency where digest = any($1::bytea[])";

/** {@link lockKey} and {@link findAnswer} for several keys at once. */
export function claimKeys(digests: readonly Uint8Array[]): readonly Command[] {
  return [
    command(
      lockManyText,
      digests.map((digest) => Buffer.from(digest).readBigInt64BE()),
    ),
    command(findManyText, digests),
  ];
}

/** What the answers to {@link claimKeys} say, in the order of `digests`. No two of a group share a key. */
export function toKeyClaims(
  digests: readonly Uint8Array[],
  [lock, found]: readonly ExecutionResult[],
): readonly KeyClaim[] {
  const rows = new Map(
    found?.rows.map((row) => [Buffer.from(row["digest"] as Uint8Array).toString("latin1"), row]),
  );
  const held = new Set<bigint>();
  return digests.map((digest, index) => {
    const bytes = Buffer.from(digest);
    const row = rows.get(bytes.toString("latin1"));
    if (row !== undefined) return { outcome: "recorded", answer: toStoredAnswer(digest, row) };
    const number = bytes.readBigInt64BE();
    // The server gives a lock to whoever has it already.
    const free = lock?.rows[index]?.["locked"] === true && !held.has(number);
    held.add(number);
    return { outcome: free ? "free" : "in_flight" };
  });
}

/** Records an answer; `afterEvents` when the same commit has appended events. Answers `seq`. */
export function insertAnswer(record: IdempotencyRecord, afterEvents: boolean): Command {
  return command(afterEvents ? insertAfterEventsText : insertAtHeadText, ...toAnswerRow(record));
}

/** An answer as the row that is inserted for it. */
export function toAnswerRow(record: IdempotencyRecord): (string | number | Uint8Array)[] {
  const { digest, fingerprint, key, status, headers, body } = record;
  return [digest, fingerprint, key, status, JSON.stringify(headers), body];
}

/** The answers that were committed under idempotency keys. */
export class IdempotencyTable implements IdempotencyStore {
  readonly #pool: ConnectionPool;

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  async find(digest: Uint8Array): Promise<StoredAnswer | undefined> {
    const [found] = await this.#pool.run("find answer", [findAnswer(digest)]);
    return foundAnswer(digest, found);
  }

  async sweep(olderThanMs: number, limit: number): Promise<number> {
    const [swept] = await this.#pool.run("sweep answers", [command(sweepText, olderThanMs, limit)]);
    return swept?.changes ?? 0;
  }
}

function foundAnswer(
  digest: Uint8Array,
  found: ExecutionResult | undefined,
): StoredAnswer | undefined {
  const row = found?.rows[0];
  return row === undefined ? undefined : toStoredAnswer(digest, row);
}
