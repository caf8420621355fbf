import type { Row, StoredAnswer } from "./contract.ts";

/** The row of the answer under the key of `digest`. */
export function toStoredAnswer(digest: Uint8Array, row: Row): StoredAnswer {
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
