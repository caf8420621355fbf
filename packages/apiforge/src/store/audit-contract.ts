/** An entry that a commit adds to the audit log. */
export interface NewAuditEntry {
  readonly id: string;
  readonly tenant: string;
  /** Who acted; null for nobody in particular. */
  readonly subject: string | null;
  /** What was done, for example `key.revoked`. */
  readonly action: string;
  /** JSON text of an object. */
  readonly detail: string;
  readonly requestId: string;
  readonly createdAt: number;
}

/** A committed entry. */
export interface AuditEntry extends NewAuditEntry {
  /** Its row number, by which its seal names it: no order of commits. */
  readonly n: number;
}

/** One link of the chain over the entries: see `sealHash`. */
export interface AuditSeal {
  /** 1 for the first; no number is left out. */
  readonly position: number;
  /** The row number of the entry that it seals. */
  readonly n: number;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

/** Sealing committed entries, by whoever holds the consumer {@link auditSealerName}. */
export interface AuditTransaction {
  /** The last seal, and up to `limit` entries that wait for theirs, by row number. */
  pending(limit: number): Promise<{
    readonly head: AuditSeal | undefined;
    readonly entries: readonly AuditEntry[];
  }>;
  /** Adds seals with this commit; their entries wait no longer. */
  seal(seals: readonly AuditSeal[]): Promise<void>;
}

/** The consumer whose lock lets one process seal at a time, and whose cursor is the last position sealed. */
export const auditSealerName = "apiforge.audit";
