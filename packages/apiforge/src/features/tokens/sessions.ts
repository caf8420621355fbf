import { sql, type Reader, type SqlPiece, type Transaction } from "../../durable/index.ts";
import { newId, type Clock } from "../../kernel/index.ts";
import { sessionEnded, type EndReason } from "./events.ts";
import type { TokenSettings } from "./options.ts";
import type { PresentedToken } from "./refresh-token.ts";
import { randomSecret } from "./secrets.ts";
import { toSession, type Session, type SessionRow } from "./session-row.ts";

/** Whom a session is for. */
export interface NewSession {
  readonly subject: string;
  readonly tenant: string;
  /** Default none. */
  readonly role?: string;
  readonly email?: string;
  /** Default none. */
  readonly scopes?: readonly string[];
  /** A registered client that must authenticate itself to exchange refresh tokens, such as a web backend. Default none, as for an app. */
  readonly clientId?: string;
  /** `x5t#S256` thumbprint of the client certificate that all tokens are bound to (RFC 8705). Default none. */
  readonly certificate?: string;
}

/** Whose sessions: a principal is one. */
export interface SessionOwner {
  readonly tenant: string;
  readonly subject: string;
}

/** What became of a refresh token that this deployment gave out. */
export type Exchange =
  | { readonly outcome: "exchanged" | "repeated"; readonly session: Session }
  /** The session was there until now. */
  | { readonly outcome: "reused" }
  | { readonly outcome: "ended" };

const columns = sql`id, tenant, subject, role, email, scopes, client_id, certificate, seed,
  generation, rotated_at, idle_until_at, expires_at, ended_at`;

/** Sessions: one row each, whose generation counts the exchanges of its refresh token. */
export class Sessions {
  readonly #clock: Clock;
  readonly #settings: TokenSettings;

  constructor(clock: Clock, settings: TokenSettings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  async start(tx: Transaction, given: NewSession): Promise<Session> {
    const now = this.#clock.now();
    const expiresAt = now + this.#settings.sessionTtlMs;
    const session: Session = {
      id: newId("ses"),
      tenant: given.tenant,
      subject: given.subject,
      role: given.role ?? "",
      email: given.email ?? null,
      scopes: given.scopes ?? [],
      clientId: given.clientId ?? null,
      certificate: given.certificate ?? null,
      seed: randomSecret(),
      generation: 0,
      rotatedAt: now,
      idleUntilAt: this.#idleUntil(now, expiresAt),
      expiresAt,
      endedAt: null,
    };
    await tx.sql`
      insert into forge_sessions (${columns}, created_at)
      values (${session.id}, ${session.tenant}, ${session.subject}, ${session.role},
        ${session.email}, ${session.scopes.join(" ")}, ${session.clientId}, ${session.certificate},
        ${session.seed}, 0, ${now}, ${session.idleUntilAt}, ${expiresAt}, null, ${now})`;
    return session;
  }

  async find(reader: Reader, id: string): Promise<Session | undefined> {
    const [row] = await reader.sql<SessionRow>`
      select ${columns} from forge_sessions where id = ${id}`;
    return row === undefined ? undefined : toSession(row);
  }

  /**
   * Exchanges a genuine token of `found`. The one that holds gets a successor. The one before gets the
   * same successor again for a short while, if that has not been used: its answer was lost. Any other
   * was stolen, from the client or by it, and ends the session.
   */
  async exchange(tx: Transaction, found: Session, token: PresentedToken): Promise<Exchange> {
    const now = this.#clock.now();
    // Of two that come at once one moves the generation; the other finds it moved.
    const [exchanged] = await tx.sql<SessionRow>`
      update forge_sessions
      set generation = generation + 1, rotated_at = ${now},
        idle_until_at = ${this.#idleUntil(now, found.expiresAt)}
      where id = ${found.id} and generation = ${token.generation}
        and ended_at is null and idle_until_at > ${now}
      returning ${columns}`;
    if (exchanged !== undefined) return { outcome: "exchanged", session: toSession(exchanged) };
    const session = await this.find(tx, found.id);
    if (session === undefined || session.endedAt !== null || session.idleUntilAt <= now) {
      return { outcome: "ended" };
    }
    if (session.generation <= token.generation) {
      // Only a store that was set back lacks the exchange; in it tokens that were used would hold again.
      await this.#end(tx, sql`id = ${session.id}`, "store_set_back");
      return { outcome: "ended" };
    }
    const isLast = session.generation === token.generation + 1;
    if (isLast && now - session.rotatedAt <= this.#settings.retryGraceMs) {
      return { outcome: "repeated", session };
    }
    await this.#end(tx, sql`id = ${session.id}`, "refresh_token_reuse");
    return { outcome: "reused" };
  }

  /** Ends the session `id` of `owner`, or all of them; answers how many were not over before. */
  end(tx: Transaction, { tenant, subject }: SessionOwner, id: string | undefined): Promise<number> {
    const owned = sql`tenant = ${tenant} and subject = ${subject}`;
    return this.#end(tx, id === undefined ? owned : sql`${owned} and id = ${id}`, "logout");
  }

  /** Deletes up to `limit` sessions that nobody can use any more; answers how many. */
  async sweep(tx: Transaction, limit: number): Promise<number> {
    const swept = await tx.sql`
      delete from forge_sessions where id in (
        select id from forge_sessions where idle_until_at <= ${this.#clock.now()}
        order by idle_until_at limit ${limit})
      returning id`;
    return swept.length;
  }

  async #end(tx: Transaction, which: SqlPiece, reason: EndReason): Promise<number> {
    const now = this.#clock.now();
    const ended = await tx.sql<SessionRow>`
      update forge_sessions set ended_at = ${now}, end_reason = ${reason}
      where ${which} and ended_at is null and idle_until_at > ${now}
      returning ${columns}`;
    for (const { id, subject, client_id: clientId } of ended) {
      tx.emit(sessionEnded, { sessionId: id, subject, clientId, reason });
    }
    return ended.length;
  }

  #idleUntil(now: number, expiresAt: number): number {
    return Math.min(now + this.#settings.idleTtlMs, expiresAt);
  }
}
