import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type { LimitLogEntry, LimitMemory } from "../limit-contract.ts";
import type { SqliteConnection } from "./connection.ts";

/** Expired entries that one append deletes; more than it usually writes, so that none pile up. */
const sweepRows = 20;

/** The memory of limits. Every method runs inside a unit of work. */
export class LimitLogTable {
  readonly #clock: Clock;
  readonly #insert: StatementSync;
  readonly #all: StatementSync;
  readonly #sweep: StatementSync;
  readonly #forget: StatementSync;
  readonly #mark: StatementSync;
  readonly #setMark: StatementSync;
  readonly #dropMark: StatementSync;

  constructor(connection: SqliteConnection, clock: Clock) {
    this.#clock = clock;
    this.#insert = connection.prepare(
      "insert into forge_limit_log (policy, kind, body, expires_at) values (?, ?, ?, ?)",
    );
    this.#all = connection.prepare(
      "select policy, kind, body, expires_at from forge_limit_log where expires_at > ? order by n",
    );
    this.#sweep = connection.prepare(
      `delete from forge_limit_log where n in
         (select n from forge_limit_log where expires_at <= ? limit ?)`,
    );
    this.#forget = connection.prepare(
      "delete from forge_limit_log where policy = ? and n < ? and kind <> 'debt'",
    );
    this.#mark = connection.prepare("select body from forge_limit_mark");
    this.#setMark = connection.prepare(
      "insert or replace into forge_limit_mark (n, body) values (1, ?)",
    );
    this.#dropMark = connection.prepare("delete from forge_limit_mark");
  }

  load(): LimitMemory {
    const mark = this.#mark.get()?.["body"];
    return {
      entries: this.#all.all(this.#clock.now()).map(toEntry),
      mark: mark === undefined ? undefined : String(mark),
    };
  }

  append(entries: readonly LimitLogEntry[], mark?: string | null): number {
    this.#sweep.run(this.#clock.now(), sweepRows);
    let first = 0;
    for (const { policy, kind, body, expiresAt } of entries) {
      const { lastInsertRowid } = this.#insert.run(policy, kind, body, Math.ceil(expiresAt));
      first ||= Number(lastInsertRowid);
    }
    if (mark === null) this.#dropMark.run();
    else if (mark !== undefined) this.#setMark.run(mark);
    return first;
  }

  forget(policy: string, n: number): void {
    this.#forget.run(policy, n);
  }
}

function toEntry(row: Readonly<Record<string, unknown>>): LimitLogEntry {
  return {
    policy: String(row["policy"]),
    // Written by append() only.
    kind: row["kind"] as LimitLogEntry["kind"],
    body: String(row["body"]),
    expiresAt: Number(row["expires_at"]),
  };
}
