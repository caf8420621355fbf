import type { StatementSync } from "node:sqlite";

import { toAuditEntry, toAuditSeal } from "../audit-chain.ts";
import type { AuditEntry, AuditSeal, NewAuditEntry } from "../audit-contract.ts";
import type { SqliteConnection } from "./connection.ts";

/** The audit log, as statements of the one writing connection. Every method runs inside a unit of work. */
export class AuditTable {
  readonly #append: StatementSync;
  readonly #await: StatementSync;
  readonly #head: StatementSync;
  readonly #pending: StatementSync;
  readonly #seal: StatementSync;
  readonly #release: StatementSync;

  constructor(connection: SqliteConnection) {
    this.#append = connection.prepare(
      `insert into forge_audit (id, tenant, subject, action, detail, request_id, created_at)
       values (?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#await = connection.prepare("insert into forge_audit_unsealed (n) values (?)");
    this.#head = connection.prepare(
      "select position, n, hash from forge_audit_seals order by position desc limit 1",
    );
    this.#pending = connection.prepare(
      `select entry.* from forge_audit_unsealed waiting join forge_audit entry on entry.n = waiting.n
       order by waiting.n limit ?`,
    );
    this.#seal = connection.prepare(
      "insert into forge_audit_seals (position, n, hash) values (?, ?, ?)",
    );
    this.#release = connection.prepare("delete from forge_audit_unsealed where n = ?");
  }

  append(entry: NewAuditEntry): void {
    const { id, tenant, subject, action, detail, requestId, createdAt } = entry;
    const { lastInsertRowid } = this.#append.run(
      id,
      tenant,
      subject,
      action,
      detail,
      requestId,
      createdAt,
    );
    this.#await.run(lastInsertRowid);
  }

  pending(limit: number): { head: AuditSeal | undefined; entries: readonly AuditEntry[] } {
    const head = this.#head.get();
    return {
      head: head === undefined ? undefined : toAuditSeal(head),
      entries: this.#pending.all(limit).map(toAuditEntry),
    };
  }

  seal(seals: readonly AuditSeal[]): void {
    for (const { position, n, hash } of seals) {
      this.#seal.run(position, n, hash);
      this.#release.run(n);
    }
  }
}
