import type { EventStore, LogEvent, NewEvent, Row } from "../contract.ts";
import { eventsSwept } from "../errors.ts";
import { toLogEvent } from "../event-row.ts";
import { command, type Command } from "./command.ts";
import type { ExecutionResult } from "./exchange.ts";
import { now } from "./job-statements.ts";
import type { ConnectionPool } from "./pool.ts";
import { rowsCommand, rowsStatement } from "./rows.ts";

/** The advisory lock of the log: shared by publishers from the append to the commit. */
const logLock = "1718579815, 1";

const eventColumns = "id, type, tenant, data, request_id, created_at";
/** Types of the columns that {@link toEventRow} fills. */
export const eventTypes = ["text", "text", "text", "text", "text", "bigint"];
const append = rowsStatement(eventTypes, (source) => `${appendFrom(source)} returning seq`);
/** Answers the highest `seq` that is committed. */
export const headText = "select coalesce(max(seq), 0) as seq from forge_events";
const waitText = "select pg_sleep($1)";
// What was deleted is told by the same snapshot, in a row without an event when there is none.
const readText = `select floor.seq as floor, event.* from forge_event_floor floor
   left join lateral (
     select * from forge_events where seq > $1 order by seq limit $2) event on true
   order by event.seq`;
const readSeqText = "select seq from forge_events where seq > $1 order by seq limit $2";
const floorText = "select seq from forge_event_floor";
// The log is deleted from its beginning up to the first event that is young, whoever's clock said so.
const sweepText = `with first as materialized (
     select seq, created_at from forge_events order by seq limit $2
   ), last as materialized (
     select max(seq) as seq from first
     where seq < (select max(seq) from forge_events) and seq < coalesce(
       (select min(seq) from first where created_at >= ${now} - $1::bigint), 9223372036854775807)
   ), swept as (
     delete from forge_events where seq <= (select seq from last) returning 1
   ), moved as (
     update forge_event_floor floor set seq = greatest(floor.seq, last.seq)
     from last where last.seq is not null
   )
   select count(*) as swept from swept`;

/** Longest that a reader holds up the publishers. */
const lockTimeoutMs = 100;
const lockLogCommands = [
  command("select set_config('lock_timeout', $1, true)", String(lockTimeoutMs)),
  command(`select pg_advisory_xact_lock(${logLock})`),
  command("select case when is_called then last_value else 0 end as settled from forge_event_seq"),
  command(headText),
];

/**
 * How long a reader waits for a publisher that has taken a number and not committed yet, try by
 * try: it needs one flush of the disk. The server waits, so that no timer of ours is involved.
 */
const gapWaitsSeconds = [0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05];
/** The wait after which the gap may be one that stays. */
const patienceSeconds = 0.02;
const headPage = 1_000;

/** Sends commands and answers their results, in whatever transaction the sender has. */
type Send = (commands: readonly Command[]) => Promise<readonly ExecutionResult[]>;

/** An INSERT of the events of `source`, in their order. */
export function appendFrom(source: string): string {
  // The subquery runs once, before the first row is made: no number is taken without the lock.
  return `insert into forge_events (seq, ${eventColumns})
   select nextval('forge_event_seq'), ${eventColumns}
   from ${source} as event (${eventColumns})
   where (select pg_advisory_xact_lock_shared(${logLock})) is not null`;
}

/** An event as the row that {@link appendFrom} inserts. */
export function toEventRow(event: NewEvent): (string | number)[] {
  return [event.id, event.type, event.tenant, event.data, event.requestId, event.createdAt];
}

/** Appends events in order; answers their `seq`. */
export function appendEvents(events: readonly NewEvent[]): Command {
  return rowsCommand(append, events.map(toEventRow));
}

/** Answers the highest `seq` that is committed. */
export const headCommand = command(headText);

/** The `seq` that the last of `results` to have one answered. */
export function lastSeq(results: readonly ExecutionResult[]): number {
  const row = results.findLast((result) => result.rows.length > 0)?.rows.at(-1);
  return Number(row?.["seq"] ?? 0);
}

/**
 * The committed log. Numbers are taken from a sequence, so a commit may become visible before one
 * with a lower number; a reader stops there until that one is visible or known never to be.
 */
export class EventLog implements EventStore {
  readonly #pool: ConnectionPool;
  /** Every event up to here is visible to any statement that begins now, or will never exist. */
  #settled = 0;
  /** The last event that exists up to there. */
  #head = 0;
  #settling: Promise<void> | undefined;

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  read(after: number, limit: number): Promise<readonly LogEvent[]> {
    return this.readWith((commands) => this.#pool.run("read events", commands), after, limit);
  }

  /** {@link read} by statements of the caller's transaction, each of which sees what is committed by then. */
  async readWith(send: Send, after: number, limit: number): Promise<readonly LogEvent[]> {
    const rows = await this.#rows(send, command(readText, after, limit), after, "some");
    return rows.map(toLogEvent);
  }

  async floor(): Promise<number> {
    const [result] = await this.#pool.run("log floor", [command(floorText)]);
    return lastSeq(result === undefined ? [] : [result]);
  }

  async sweep(olderThanMs: number, limit: number): Promise<number> {
    const [swept] = await this.#pool.run("sweep events", [command(sweepText, olderThanMs, limit)]);
    return Number(swept?.rows[0]?.["swept"] ?? 0);
  }

  async head(): Promise<number> {
    if (this.#settled === 0) await this.#settle();
    const send: Send = (commands) => this.#pool.run("log head", commands);
    for (;;) {
      const after = this.#settled;
      const rows = await this.#rows(send, command(readSeqText, after, headPage), after, "all");
      if (rows.length < headPage) return this.#head;
    }
  }

  /** Forgets what is settled: another server, after a failover, may have lost the end of the log. */
  forget(): void {
    this.#settled = 0;
    this.#head = 0;
  }

  /** Rows after `after` that no lower one can still join; waits for `some`, or for `all` that are visible. */
  async #rows(
    send: Send,
    read: Command,
    after: number,
    wanted: "some" | "all",
  ): Promise<readonly Row[]> {
    let readable: readonly Row[] = [];
    for (const seconds of gapWaitsSeconds) {
      // Taken before the statement is sent: what settles later may be missing from its snapshot.
      const settled = this.#settled;
      const results = await send(seconds === 0 ? [read] : [command(waitText, seconds), read]);
      const rows = eventRows(results.at(-1)?.rows ?? [], after);
      readable = this.#contiguous(rows, after, settled);
      const gap = readable.length < rows.length;
      if (!gap || (wanted === "some" && readable.length > 0)) break;
      if (seconds === patienceSeconds) void this.#settle();
    }
    return readable;
  }

  #contiguous(rows: readonly Row[], after: number, settled: number): readonly Row[] {
    let position = Math.max(after, settled);
    const gap = rows.findIndex((row) => {
      const seq = Number(row["seq"]);
      if (seq > position + 1) return true;
      position = Math.max(position, seq);
      return false;
    });
    const readable = gap === -1 ? rows : rows.slice(0, gap);
    // Rows that follow the settled ones without a gap are themselves settled.
    if (after <= settled && settled <= this.#settled) {
      this.#advance(position, Number(readable.at(-1)?.["seq"] ?? 0));
    }
    return readable;
  }

  /**
   * Learns which numbers can no longer appear. Once no publisher is between its append and its
   * commit, each number given out is either visible or gone with its transaction.
   */
  #settle(): Promise<void> {
    this.#settling ??= this.#lockLog().finally(() => (this.#settling = undefined));
    return this.#settling;
  }

  async #lockLog(): Promise<void> {
    try {
      const results = await this.#pool.run("settle log", lockLogCommands);
      this.#advance(Number(results.at(-2)?.rows[0]?.["settled"] ?? 0), lastSeq(results));
    } catch {
      // The database is gone, or a publisher holds on; whoever reads meets the gap again and asks again.
    }
  }

  #advance(settled: number, head: number): void {
    this.#settled = Math.max(this.#settled, settled);
    this.#head = Math.max(this.#head, head);
  }
}

/** The rows of events. @throws {events_swept} when the same snapshot says that there were others. */
function eventRows(rows: readonly Row[], after: number): readonly Row[] {
  const floor = Number(rows[0]?.["floor"] ?? 0);
  if (after < floor) throw eventsSwept(after, floor);
  return rows[0]?.["seq"] === null ? [] : rows;
}
