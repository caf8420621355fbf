import { hash } from "node:crypto";
import type { Redis } from "ioredis";
import { Problem } from "./problem.ts";

const inFlightSeconds = 60;
const recordedSeconds = 86_400;

interface StoredRecord {
  readonly fingerprint: string;
  /** Absent while the request that holds the key is at work. */
  readonly status?: number;
  readonly body?: string;
}

/** The answer that an earlier request with the same key got. */
export interface RecordedAnswer {
  readonly status: number;
  readonly body: string;
}

/** A held key: to be recorded with the answer, or released when there is none. */
export interface HeldKey {
  record(status: number, body: string): Promise<void>;
  release(): Promise<void>;
}

/** The outcome of asking for a key. */
export type Claim = { readonly held: HeldKey } | { readonly recorded: RecordedAnswer };

/**
 * Asks Redis for the key in one round trip (SET NX GET). Throws 409 while another request holds
 * it and 422 when it was used for another payload.
 */
export async function claimKey(
  redis: Redis,
  scope: string,
  key: string,
  payload: unknown,
): Promise<Claim> {
  const name = `idempotency:${scope}:${key}`;
  const fingerprint = hash("sha256", JSON.stringify(payload), "base64url");
  const inFlight = JSON.stringify({ fingerprint } satisfies StoredRecord);
  const existing = await redis.set(name, inFlight, "EX", inFlightSeconds, "NX", "GET");
  if (existing !== null) return { recorded: readRecord(existing, fingerprint) };
  return {
    held: {
      async record(status, body) {
        const record: StoredRecord = { fingerprint, status, body };
        await redis.set(name, JSON.stringify(record), "EX", recordedSeconds);
      },
      async release() {
        await redis.del(name);
      },
    },
  };
}

function readRecord(text: string, fingerprint: string): RecordedAnswer {
  const record: StoredRecord = JSON.parse(text);
  if (record.fingerprint !== fingerprint) {
    throw new Problem(
      422,
      "idempotency_error",
      "idempotency_key_reused",
      "This Idempotency-Key was used for another request.",
    );
  }
  if (record.status === undefined || record.body === undefined) {
    throw new Problem(
      409,
      "idempotency_error",
      "idempotency_in_progress",
      "A request with this Idempotency-Key is still running.",
    );
  }
  return { status: record.status, body: record.body };
}
