import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type { LogEvent, NewEvent } from "../contract.ts";
import { eventsSwept } from "../errors.ts";
import { toLogEvent } from "../event-row.ts";
import type { SqliteConnection } from "./connection.ts";

/** The committed log. One writer appends, so the order of `seq` is the order of commits. */
export class EventLog {
  readonly #connection: SqliteConnection;
  readonly #clock: Clock;
  readonly #append: StatementSync;
  readonly #read: StatementSync;
  readonly #floor: StatementSync;
  readonly #lastOld: StatementSync;
  readonly #delete: StatementSync;
  readonly #moveFloor: StatementSync;
  #head: number;

  constructor(connection: SqliteConnection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
    this.#append = connection.prepare(
      "insert into forge_events (seq, id, type, tenant, data, request_id, created_at) values (?, ?, ?, ?, ?, ?, ?)",
    );
    this.#read = connection.prepare(
      "select * from forge_events where seq > ? order by seq limit ?",
    );
    this.#floor = connection.prepare("select seq from forge_event_floor");
    // The log is deleted from its beginning up to the first event that is young, whoever's clock said so.
    this.#lastOld = connection.prepare(
      `with first as (select seq, created_at from forge_events order by seq limit ?1)
       select max(seq) as seq from first
       where seq < coalesce((select min(seq) from first where created_at >= ?2), ?3) and seq < ?3`,
    );
    this.#delete = connection.prepare("delete from forge_events where seq <= ?");
    this.#moveFloor = connection.prepare("update forge_event_floor set seq = ?");
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

  /** The last event that was deleted. */
  get floor(): number {
    return Number(this.#floor.get()?.["seq"] ?? 0);
  }

  /**
   * Up to `limit` events after `after`, in order.
   * @throws {events_swept}
   */
  read(after: number, limit: number): readonly LogEvent[] {
    const { floor } = this;
    if (after < floor) throw eventsSwept(after, floor);
    return this.#read.all(after, limit).map(toLogEvent);
  }

  sweep(olderThanMs: number, limit: number): number {
    const last = this.#lastOld.get(limit, this.#clock.now() - olderThanMs, this.#head)?.["seq"];
    if (typeof last !== "number") return 0;
    this.#moveFloor.run(last);
    return Number(this.#delete.run(last).changes);
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
