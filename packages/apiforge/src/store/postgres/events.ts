import type { Clock } from "../../kernel/index.ts";
import type { EventStore, LogEvent, NewEvent, Row } from "../contract.ts";
import { command, type Command } from "./connection.ts";
import type { ExecutionResult } from "./exchange.ts";
import type { ConnectionPool } from "./pool.ts";

/** The advisory lock of the log: shared by publishers from the append to the commit. */
const logLock = "1718579815, 1";

// The subquery runs once, before the first row is made: no number is taken without the lock.
const appendText = `insert into forge_events (seq, id, type, tenant, data, request_id, created_at)
   select nextval('forge_event_seq'), id, type, tenant, data, request_id, created_at
   from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
     as event (id, type, tenant, data, request_id, created_at)
   where (select pg_advisory_xact_lock_shared(${logLock})) is not null
   returning seq`;
const headText = "select coalesce(max(seq), 0) as seq from forge_events";
const readText = "select * from forge_events where seq > $1 order by seq limit $2";
const readSeqText = "select seq from forge_events where seq > $1 order by seq limit $2";

/** Longest that publishers are held up for the sake of a reader. */
const lockTimeoutMs = 250;
const lockLogCommands = [
  command("select set_config('lock_timeout', $1, true)", String(lockTimeoutMs)),
  command(`select pg_advisory_xact_lock(${logLock})`),
  command("select case when is_called then last_value else 0 end as seq from forge_event_seq"),
];

/** Waits for a publisher that has taken a number and not committed yet; it needs one flush of the disk. */
const gapWaitsMs = [2, 5, 10, 20, 30, 50];
/** The wait after which a gap is taken for one that stays. */
const patientWaits = 4;
/** After a publisher held on to the lock: how long readers leave all publishers alone. */
const settlePauseMs = 1_000;
const headPage = 1_000;

/** Sends commands and answers their results, in whatever transaction the sender has. */
type Send = (commands: readonly Command[]) => Promise<readonly ExecutionResult[]>;

/** Appends events in order; answers their `seq`. */
export function appendEvents(events: readonly NewEvent[]): Command {
  return command(
    appendText,
    events.map((event) => event.id),
    events.map((event) => event.type),
    events.map((event) => event.tenant),
    events.map((event) => event.data),
    events.map((event) => event.requestId),
    events.map((event) => event.createdAt),
  );
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
  readonly #clock: Clock;
  /** Every event up to here is visible to any statement that begins now, or will never exist. */
  #settled = 0;
  #settling: Promise<void> | undefined;
  #settlePausedUntil = 0;

  constructor(pool: ConnectionPool, clock: Clock) {
    this.#pool = pool;
    this.#clock = clock;
  }

  read(after: number, limit: number): Promise<readonly LogEvent[]> {
    return this.readWith((commands) => this.#pool.run("read events", commands), after, limit);
  }

  /** {@link read} by statements of the caller's transaction, whose every statement sees what is committed by then. */
  async readWith(send: Send, after: number, limit: number): Promise<readonly LogEvent[]> {
    return (await this.#readable(send, readText, after, limit)).map(toLogEvent);
  }

  async head(): Promise<number> {
    if (this.#settled === 0) await this.#settle();
    const send: Send = (commands) => this.#pool.run("log head", commands);
    for (;;) {
      const rows = await this.#readable(send, readSeqText, this.#settled, headPage);
      if (rows.length < headPage) return this.#settled;
    }
  }

  /** Forgets what is settled: another server, after a failover, may have lost the end of the log. */
  forget(): void {
    this.#settled = 0;
  }

  /** Rows after `after` that no lower one can still join. */
  async #readable(send: Send, text: string, after: number, limit: number): Promise<readonly Row[]> {
    for (let waits = 0; ; waits++) {
      // Taken before the statement is sent: what settles later may be missing from its snapshot.
      const settled = this.#settled;
      const [result] = await send([command(text, after, limit)]);
      const rows = result?.rows ?? [];
      const readable = this.#contiguous(rows, after, settled);
      const waitMs = gapWaitsMs[waits];
      if (readable.length > 0 || rows.length === 0 || waitMs === undefined) return readable;
      if (waits === patientWaits) void this.#settle();
      await new Promise<void>((resume) => void this.#clock.after(waitMs, resume));
    }
  }

  #contiguous(rows: readonly Row[], after: number, settled: number): readonly Row[] {
    let position = Math.max(after, settled);
    const gap = rows.findIndex((row) => {
      const seq = Number(row["seq"]);
      if (seq > position + 1) return true;
      position = Math.max(position, seq);
      return false;
    });
    // A row after the settled ones, without a gap between, is itself settled.
    if (after <= settled && settled <= this.#settled)
      this.#settled = Math.max(this.#settled, position);
    return gap === -1 ? rows : rows.slice(0, gap);
  }

  /**
   * Learns which numbers can no longer appear. Once no publisher is between its append and its
   * commit, each number given out is either visible or gone with its transaction.
   */
  #settle(): Promise<void> {
    if (this.#clock.now() < this.#settlePausedUntil) return Promise.resolve();
    this.#settling ??= this.#lockLog().finally(() => (this.#settling = undefined));
    return this.#settling;
  }

  async #lockLog(): Promise<void> {
    try {
      const results = await this.#pool.run("settle log", lockLogCommands);
      this.#settled = Math.max(this.#settled, lastSeq(results));
    } catch {
      // The database is gone, or a publisher holds on; whoever reads meets the gap again and asks again.
      this.#settlePausedUntil = this.#clock.now() + settlePauseMs;
    }
  }
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
