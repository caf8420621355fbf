/** A session as it is kept. */
export interface Session {
  readonly id: string;
  readonly tenant: string;
  readonly subject: string;
  readonly role: string;
  readonly email: string | null;
  readonly scopes: readonly string[];
  /** The client that alone may exchange its refresh tokens; null where none was named. */
  readonly clientId: string | null;
  /** Thumbprint of the certificate that its tokens are bound to; null for none. */
  readonly certificate: string | null;
  readonly seed: string;
  /** Of the refresh token that holds. */
  readonly generation: number;
  /** When that one was given out. */
  readonly rotatedAt: number;
  readonly idleUntilAt: number;
  readonly expiresAt: number;
  readonly endedAt: number | null;
}

/** A row of `forge_sessions`. */
export interface SessionRow {
  readonly id: string;
  readonly tenant: string;
  readonly subject: string;
  readonly role: string;
  readonly email: string | null;
  readonly scopes: string;
  readonly client_id: string | null;
  readonly certificate: string | null;
  readonly seed: string;
  readonly generation: number;
  readonly rotated_at: number;
  readonly idle_until_at: number;
  readonly expires_at: number;
  readonly ended_at: number | null;
}

export function toSession(row: SessionRow): Session {
  return {
    id: row.id,
    tenant: row.tenant,
    subject: row.subject,
    role: row.role,
    email: row.email,
    scopes: row.scopes === "" ? [] : row.scopes.split(" "),
    clientId: row.client_id,
    certificate: row.certificate,
    seed: row.seed,
    generation: row.generation,
    rotatedAt: row.rotated_at,
    idleUntilAt: row.idle_until_at,
    expiresAt: row.expires_at,
    endedAt: row.ended_at,
  };
}
