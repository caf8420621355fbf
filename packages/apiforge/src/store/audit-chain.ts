import { createHash } from "node:crypto";

import type { AuditEntry, AuditSeal } from "./audit-contract.ts";
import type { Row } from "./contract.ts";

/** What the first seal follows. */
export const auditGenesis: Uint8Array = Buffer.alloc(32);

/**
 * The hash of the seal at `position` over `entry`: SHA-256 of the JSON array
 * `["apiforge-audit-1", previous hash in hex, position, n, id, tenant, subject, action, detail,
 * requestId, createdAt]` in UTF-8, as `JSON.stringify` writes it. `detail` is the stored text.
 */
export function sealHash(previous: Uint8Array, position: number, entry: AuditEntry): Buffer {
  const { n, id, tenant, subject, action, detail, requestId, createdAt } = entry;
  const link = ["apiforge-audit-1", Buffer.from(previous).toString("hex"), position];
  const content = [n, id, tenant, subject, action, detail, requestId, createdAt];
  return createHash("sha256")
    .update(JSON.stringify([...link, ...content]))
    .digest();
}

/** The seals of `entries` in their order, after `head`. */
export function sealsAfter(
  head: AuditSeal | undefined,
  entries: readonly AuditEntry[],
): readonly AuditSeal[] {
  let position = head?.position ?? 0;
  let hash = head?.hash ?? auditGenesis;
  return entries.map((entry) => {
    position += 1;
    hash = sealHash(hash, position, entry);
    return { position, n: entry.n, hash };
  });
}

/** A row of `forge_audit`. */
export function toAuditEntry(row: Row): AuditEntry {
  const subject = row["subject"] ?? null;
  return {
    n: Number(row["n"]),
    id: String(row["id"]),
    tenant: String(row["tenant"]),
    // Whatever else somebody wrote there is not nobody.
    subject: subject === null || typeof subject === "string" ? subject : JSON.stringify(subject),
    action: String(row["action"]),
    detail: String(row["detail"]),
    requestId: String(row["request_id"]),
    createdAt: Number(row["created_at"]),
  };
}

/** A row of `forge_audit_seals`. */
export function toAuditSeal(row: Row): AuditSeal {
  const { position, n, hash } = row;
  if (!(hash instanceof Uint8Array)) throw new TypeError("A seal's hash is not bytes");
  return { position: Number(position), n: Number(n), hash };
}
