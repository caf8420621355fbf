import type { StatementSync } from "node:sqlite";

import type { LogEvent, NewEvent, Row } from "../contract.ts";
import type { SqliteConnection } from "./connection.ts";

/** The committed log. One writer appends, so the order of `seq` is the order of commits. */
export class EventLog {
  readonly #connection: SqliteConnection;
  readonly #append: StatementSync;
  readonly #read: StatementSync;
  #head: number;

  constructor(connection: SqliteConnection) {
    this.#connection = connection;
    this.#append = connection.prepare(
      "insert into forge_events (seq, id, type, tenant, data, request_id, created_at) values (?, ?, ?, ?, ?, ?, ?)",
    );
    this.#read = connection.prepare(
      "select * from forge_events where seq > ? order by seq limit ?",
    );
    this.#head = readHead(connection);
  }

  /** The last `seq` given out, committed or about to be. */
  get head(): number {
    return this.#head;
  }

  /** Takes back what a rolled back unit was given. */
  rewind(head: number): void {
    this.#head = head;
  }

  /** Reads the position again after a group was rolled back. */
  reload(): void {
    this.#head = readHead(this.#connection);
  }

  /** Up to `limit` events after `after`, in order. */
  read(after: number, limit: number): readonly LogEvent[] {
    return this.#read.all(after, limit).map(toLogEvent);
  }

  append(event: NewEvent): void {
    this.#head += 1;
    this.#append.run(
      this.#head,
      event.id,
      event.type,
      event.tenant,
      event.data,
      event.requestId,
      event.createdAt,
    );
  }
}

// AUTOINCREMENT remembers the highest seq even after its row is gone, so none is given out twice.
function readHead(connection: SqliteConnection): number {
  const row = connection
    .prepare("select seq from sqlite_sequence where name = 'forge_events'")
    .get();
  return Number(row?.["seq"] ?? 0);
}

function toLogEvent(row: Row): LogEvent {
  return {
    seq: Number(row["seq"]),
    id: String(row["id"]),
    type: String(row["type"]),
    tenant: String(row["tenant"]),
    data: String(row["data"]),
    requestId: String(row["request_id"]),
    createdAt: Number(row["created_at"]),
  };
}
