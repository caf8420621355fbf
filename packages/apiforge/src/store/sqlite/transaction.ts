import type { StatementSync } from "node:sqlite";

import type { AuditTransaction, NewAuditEntry } from "../audit-contract.ts";
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
import type { AuditTable } from "./audit.ts";
import type { BatchTable } from "./batches.ts";
import type { SqliteConnection } from "./connection.ts";
import type { EventLog } from "./events.ts";
import { readFailure, sqliteFailure } from "./failures.ts";
import type { IdempotencyTable } from "./idempotency.ts";
import type { JobTable } from "./jobs.ts";
import type { RateTable } from "./rates.ts";
import type { Savepoint } from "./savepoint.ts";
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
  readonly audit: AuditTable;
  readonly rates: RateTable;
  readonly schedules: ScheduleTable;
}

/** Cursors of the log's named readers. */
export class ConsumerTable {
  readonly #find: StatementSync;
  readonly #save: StatementSync;

  constructor(connection: SqliteConnection) {
    this.#find = connection.prepare(
      `select floor.seq as floor, consumer.cursor
       from forge_event_floor floor left join forge_consumers consumer on consumer.name = ?`,
    );
    this.#save = connection.prepare(
      "insert into forge_consumers (name, cursor) values (?, ?) on conflict (name) do update set cursor = excluded.cursor",
    );
  }

  find(name: string): ConsumerState {
    const row = this.#find.get(name);
    const floor = Number(row?.["floor"]);
    return { cursor: Number(row?.["cursor"] ?? floor), floor };
  }

  save(name: string, cursor: number): void {
    this.#save.run(name, cursor);
  }
}

/**
 * One unit of work inside a group; unusable after its end. Its savepoint begins with the first
 * statement that can fail for the unit's own fault and ends before {@link flush} writes: inside of
 * one SQLite copies each page before it changes, which cost a seventh of a request's SQL.
 */
export class SqliteTransaction implements StoreTransaction {
  readonly dialect = "sqlite";
  readonly #connection: SqliteConnection;
  readonly #tables: Tables;
  readonly #savepoint: Savepoint;
  readonly #events: NewEvent[] = [];
  readonly #jobs: NewJob[] = [];
  #audit: NewAuditEntry[] | undefined;
  #record: IdempotencyRecord | undefined;
  #tenant: string | undefined;
  #freeKey: Uint8Array | undefined;
  #isGuarded = false;
  #isFlushing = false;
  #open = true;

  constructor(connection: SqliteConnection, tables: Tables, savepoint: Savepoint) {
    this.#connection = connection;
    this.#tables = tables;
    this.#savepoint = savepoint;
  }

  actFor(tenant: string | undefined): void {
    this.#tenant = tenant;
  }

  async query(fragment: SqlFragment): Promise<readonly Row[]> {
    return this.#change(() => this.#connection.queryFragment(fragment, this.#tenant)).rows;
  }

  async queryText(text: string, values: readonly SqlValue[]): Promise<QueryResult> {
    return this.#change(() => this.#connection.query(text, values, this.#tenant));
  }

  /** Runs statements of the store itself, undone with the unit. */
  async perform<T>(call: () => T): Promise<T> {
    return this.#change(call);
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
    if (answer !== undefined) return { outcome: "recorded", answer };
    this.#freeKey = digest;
    return { outcome: "free" };
  }

  recordAnswer(record: IdempotencyRecord): void {
    this.#requireOpen();
    this.#record = record;
  }

  appendEvent(event: NewEvent): void {
    this.#requireOpen();
    this.#events.push(event);
  }

  appendAudit(entry: NewAuditEntry): void {
    this.#requireOpen();
    (this.#audit ??= []).push(entry);
  }

  insertJob(job: NewJob): void {
    this.#requireOpen();
    this.#jobs.push(job);
  }

  async insertUniqueJob(job: NewJob): Promise<{ id: string; inserted: boolean }> {
    return this.#change(() => this.#tables.jobs.insertUnique(job));
  }

  async completeJob(lease: JobLease): Promise<boolean> {
    return this.#change(() => this.#tables.settlements.complete(lease));
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
    this.#change(() => this.#tables.consumers.save(name, cursor));
  }

  get batches(): BatchTransaction {
    const { batches } = this.#tables;
    return {
      stage: async (batch, chunks) => this.#change(() => batches.stage(batch, chunks)),
      open: async (opening) => this.#change(() => batches.open(opening)),
      record: async (progress) => this.#change(() => batches.record(progress)),
      cancel: async (id) => this.#change(() => batches.cancel(id)),
      hasten: async (jobType, keyPrefix) => this.#change(() => batches.hasten(jobType, keyPrefix)),
      removeDeadJob: async (n) => this.#change(() => batches.removeDeadJob(n)),
    };
  }

  get audit(): AuditTransaction {
    const { audit } = this.#tables;
    return {
      pending: async (limit) => this.#run(() => audit.pending(limit)),
      seal: async (seals) => this.#change(() => audit.seal(seals)),
    };
  }

  async lockSchedule(name: string): Promise<LockedSchedule> {
    return this.#change(() => this.#tables.schedules.lock(name));
  }

  async tryLockSchedule(name: string): Promise<LockedSchedule | undefined> {
    return this.#change(() => this.#tables.schedules.tryLock(name));
  }

  async saveSchedule(state: ScheduleState, ticks: readonly NewTick[]): Promise<void> {
    this.#change(() => this.#tables.schedules.save(state, ticks));
  }

  /**
   * Writes what was put into the commit; answers the log position to report. What a unit can fail
   * for is found before the first insert; after it {@link undo} cannot help.
   * @throws {idempotency_key_taken}
   */
  flush(): number {
    return this.#run(() => {
      const { jobs, events, audit, idempotency } = this.#tables;
      const record = this.#record;
      if (record !== undefined && record.digest !== this.#freeKey) idempotency.requireFree(record);
      if (this.#isGuarded) this.#savepoint.release();
      this.#isFlushing = true;
      if (this.#jobs.length > 0) jobs.insert(this.#jobs);
      for (const event of this.#events) events.append(event);
      if (this.#audit !== undefined) for (const entry of this.#audit) audit.append(entry);
      const seq = events.head;
      if (record !== undefined) idempotency.insert(record, seq);
      return seq;
    });
  }

  /** Takes back what the unit did; false when only a rollback of the whole group can. */
  undo(): boolean {
    if (this.#isFlushing) return false;
    if (this.#isGuarded) this.#savepoint.rollBack();
    return true;
  }

  end(): void {
    this.#open = false;
  }

  #change<T>(call: () => T): T {
    return this.#run(() => {
      this.#guard();
      return call();
    });
  }

  #guard(): void {
    if (this.#isGuarded) return;
    this.#savepoint.begin();
    this.#isGuarded = true;
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
