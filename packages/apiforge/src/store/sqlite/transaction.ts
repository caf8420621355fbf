import type { StatementSync } from "node:sqlite";

import type { BatchTransaction } from "../batch-contract.ts";
import type {
  ConsumerState,
  IdempotencyRecord,
  JobLease,
  KeyClaim,
  LogEvent,
  NewEvent,
  NewJob,
  QueryResult,
  Row,
  SqlFragment,
  SqlRunner,
  SqlValue,
  StoreTransaction,
} from "../contract.ts";
import { storeError } from "../errors.ts";
import type { LockedSchedule, NewTick, ScheduleState } from "../schedule-contract.ts";
import type { BatchTable } from "./batches.ts";
import type { SqliteConnection } from "./connection.ts";
import type { EventLog } from "./events.ts";
import { readFailure, sqliteFailure } from "./failures.ts";
import type { IdempotencyTable } from "./idempotency.ts";
import type { JobTable } from "./jobs.ts";
import type { RateTable } from "./rates.ts";
import type { ScheduleTable } from "./schedules.ts";
import type { SettlementTable } from "./settlements.ts";

/** The tables that a transaction writes through. */
export interface Tables {
  readonly idempotency: IdempotencyTable;
  readonly events: EventLog;
  readonly jobs: JobTable;
  readonly settlements: SettlementTable;
  readonly consumers: ConsumerTable;
  readonly batches: BatchTable;
  readonly rates: RateTable;
  readonly schedules: ScheduleTable;
}

/** Cursors of the log's named readers. */
export class ConsumerTable {
  readonly #find: StatementSync;
  readonly #save: StatementSync;

  constructor(connection: SqliteConnection) {
    this.#find = connection.prepare("select cursor from forge_consumers where name = ?");
    this.#save = connection.prepare(
      "insert into forge_consumers (name, cursor) values (?, ?) on conflict (name) do update set cursor = excluded.cursor",
    );
  }

  find(name: string): ConsumerState {
    return { cursor: Number(this.#find.get(name)?.["cursor"] ?? 0) };
  }

  save(name: string, cursor: number): void {
    this.#save.run(name, cursor);
  }
}

/** One unit of work inside a group; unusable after its end. */
export class SqliteTransaction implements StoreTransaction {
  readonly dialect = "sqlite";
  readonly #connection: SqliteConnection;
  readonly #tables: Tables;
  readonly #events: NewEvent[] = [];
  readonly #jobs: NewJob[] = [];
  #record: IdempotencyRecord | undefined;
  #tenant: string | undefined;
  #open = true;

  constructor(connection: SqliteConnection, tables: Tables) {
    this.#connection = connection;
    this.#tables = tables;
  }

  actFor(tenant: string | undefined): void {
    this.#tenant = tenant;
  }

  async query({ texts, values }: SqlFragment): Promise<readonly Row[]> {
    return this.#run(() => this.#connection.query(texts.join("?"), values, this.#tenant)).rows;
  }

  async queryText(text: string, values: readonly SqlValue[]): Promise<QueryResult> {
    return this.#run(() => this.#connection.query(text, values, this.#tenant));
  }

  /** The queries of this transaction alone, refused when they would write. */
  asReader(): SqlRunner {
    const read = async (text: string, values: readonly SqlValue[]): Promise<QueryResult> =>
      this.#run(() => this.#connection.queryOnly(text, values, this.#tenant), readFailure);
    return {
      dialect: this.dialect,
      query: async ({ texts, values }) => (await read(texts.join("?"), values)).rows,
      queryText: read,
    };
  }

  // Writers run one after another, so a key is either free or answered, never held by another.
  async claimKey(digest: Uint8Array): Promise<KeyClaim> {
    const answer = this.#run(() => this.#tables.idempotency.find(digest));
    return answer === undefined ? { outcome: "free" } : { outcome: "recorded", answer };
  }

  recordAnswer(record: IdempotencyRecord): void {
    this.#requireOpen();
    this.#record = record;
  }

  appendEvent(event: NewEvent): void {
    this.#requireOpen();
    this.#events.push(event);
  }

  insertJob(job: NewJob): void {
    this.#requireOpen();
    this.#jobs.push(job);
  }

  async insertUniqueJob(job: NewJob): Promise<{ id: string; inserted: boolean }> {
    return this.#run(() => this.#tables.jobs.insertUnique(job));
  }

  async completeJob(lease: JobLease): Promise<boolean> {
    return this.#run(() => this.#tables.settlements.complete(lease));
  }

  // Writers run one after another, so what holds now holds until the end of this one.
  async holdJob(lease: JobLease): Promise<boolean> {
    return this.#run(() => this.#tables.settlements.holds(lease));
  }

  async lockConsumer(name: string): Promise<ConsumerState> {
    return this.#run(() => this.#tables.consumers.find(name));
  }

  async readEvents(after: number, limit: number): Promise<readonly LogEvent[]> {
    return this.#run(() => this.#tables.events.read(after, limit));
  }

  async advanceConsumer(name: string, cursor: number): Promise<void> {
    this.#run(() => this.#tables.consumers.save(name, cursor));
  }

  get batches(): BatchTransaction {
    const { batches } = this.#tables;
    return {
      stage: async (batch, chunks) => this.#run(() => batches.stage(batch, chunks)),
      open: async (opening) => this.#run(() => batches.open(opening)),
      record: async (progress) => this.#run(() => batches.record(progress)),
      cancel: async (id) => this.#run(() => batches.cancel(id)),
      hasten: async (jobType, keyPrefix) => this.#run(() => batches.hasten(jobType, keyPrefix)),
      removeDeadJob: async (n) => this.#run(() => batches.removeDeadJob(n)),
    };
  }

  async lockSchedule(name: string): Promise<LockedSchedule> {
    return this.#run(() => this.#tables.schedules.lock(name));
  }

  async tryLockSchedule(name: string): Promise<LockedSchedule | undefined> {
    return this.#run(() => this.#tables.schedules.tryLock(name));
  }

  async saveSchedule(state: ScheduleState, ticks: readonly NewTick[]): Promise<void> {
    this.#run(() => this.#tables.schedules.save(state, ticks));
  }

  /** Writes what was put into the commit; answers the log position to report. */
  flush(): number {
    return this.#run(() => {
      if (this.#jobs.length > 0) this.#tables.jobs.insert(this.#jobs);
      for (const event of this.#events) this.#tables.events.append(event);
      const seq = this.#tables.events.head;
      if (this.#record !== undefined) this.#tables.idempotency.insert(this.#record, seq);
      return seq;
    });
  }

  end(): void {
    this.#open = false;
  }

  #run<T>(call: () => T, failure: (error: unknown) => unknown = sqliteFailure): T {
    this.#requireOpen();
    try {
      return call();
    } catch (error) {
      throw failure(error);
    }
  }

  #requireOpen(): void {
    if (this.#open) return;
    throw storeError(
      "transaction_closed",
      "The transaction has ended. Await everything that uses it before the handler returns.",
    );
  }
}
