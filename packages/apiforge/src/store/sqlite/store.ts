import { backup as backupDatabase } from "node:sqlite";

import { systemClock, type Clock } from "../../kernel/index.ts";
import type { BatchStore, RateStore } from "../batch-contract.ts";
import type {
  Committed,
  EventStore,
  IdempotencyStore,
  JobStore,
  QueueStore,
  SqlRunner,
  Store,
  StoreOptions,
  StoreFigures,
  StoreTransaction,
  StoreWork,
  WorkerStore,
} from "../contract.ts";
import { storeError } from "../errors.ts";
import {
  consumerFiguresText,
  queueFiguresText,
  toConsumerFigures,
  toQueueFigures,
} from "../figures.ts";
import { coreMigrations } from "../migrations/index.ts";
import type { LimitLog, QuotaStore } from "../limit-contract.ts";
import type { ScheduleStore } from "../schedule-contract.ts";
import type { UpstreamCallStore } from "../upstream-call-contract.ts";
import { AuditTable } from "./audit.ts";
import { BatchTable } from "./batches.ts";
import { Checkpointer } from "./checkpointer.ts";
import { ClaimTable } from "./claims.ts";
import { inMemory, openReader, openWriter, type SqliteConnection } from "./connection.ts";
import { prepareFolder } from "./data-folder.ts";
import { EventLog } from "./events.ts";
import { IdempotencyTable } from "./idempotency.ts";
import { JobNumbers } from "./job-numbers.ts";
import { JobTable } from "./jobs.ts";
import { LaneTable } from "./lanes.ts";
import { LimitLogTable } from "./limit-log.ts";
import { migrate } from "./migrations.ts";
import { PackItems } from "./pack-items.ts";
import { PackReads } from "./pack-reads.ts";
import { PackTable } from "./packs.ts";
import { lockProcess, type ProcessLock } from "./process-lock.ts";
import { QuotaTable } from "./quotas.ts";
import { RateTable } from "./rates.ts";
import { ReaderPool } from "./readers.ts";
import { ScheduleTable } from "./schedules.ts";
import { SettlementTable } from "./settlements.ts";
import { ConsumerTable, type Tables } from "./transaction.ts";
import { UpstreamCallTable, upstreamCallStore } from "./upstream-calls.ts";
import { WalSync } from "./wal-sync.ts";
import { WorkerTable } from "./workers.ts";
import { GroupWriter } from "./writer.ts";

/** Pages that one step of a backup copies: all of them. */
const everyPage = 2 ** 31 - 1;

/** Where and how a SQLite store is opened. */
export interface SqliteStoreOptions extends StoreOptions {
  /** File path, or `:memory:` for a store that ends with the process. */
  readonly path: string;
  readonly clock?: Clock;
}

/**
 * Opens the embedded store, creating file and folder where they are missing.
 * @throws {store_locked} when another process uses the file.
 * @throws {store_misconfigured} when the file cannot be written or is no database, or the file system
 * cannot hold a write-ahead log.
 * @throws {migration_changed} when an applied migration was edited.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { path, migrations, log, transactionLimitMs, clock = systemClock } = options;
  const persistent = path !== inMemory;
  if (persistent) prepareFolder(path);
  const lock = persistent ? lockProcess(path) : undefined;
  let connection: SqliteConnection | undefined;
  try {
    connection = openWriter(path);
    migrate(connection, [...coreMigrations, ...migrations]);
    const lanes = new LaneTable(connection, clock);
    const numbers = new JobNumbers(connection);
    const packParts = { numbers, items: new PackItems(connection), clock };
    const packs = new PackTable(connection, packParts);
    const packReads = new PackReads(connection, packs, packParts);
    const tables: Tables = {
      idempotency: new IdempotencyTable(connection, clock),
      events: new EventLog(connection, clock),
      jobs: new JobTable(connection, { numbers, lanes, packs, packReads, clock }),
      settlements: new SettlementTable(connection, lanes, packs, clock),
      consumers: new ConsumerTable(connection),
      batches: new BatchTable(connection, clock),
      audit: new AuditTable(connection),
      rates: new RateTable(connection, clock),
      schedules: new ScheduleTable(connection, clock),
    };
    const sync = new WalSync(path);
    await sync.wait();
    const checkpointer = persistent ? new Checkpointer(path, connection, log) : undefined;
    const limit = { clock, log, transactionLimitMs };
    const writer = new GroupWriter({ connection, tables, sync, checkpointer, ...limit });
    const readers = persistent ? new ReaderPool(path, limit) : undefined;
    const workers = new WorkerTable(connection, tables.settlements, clock);
    const claims = new ClaimTable(connection, lanes, packs, clock);
    const quotas = new QuotaTable(connection, clock);
    const upstreamCalls = new UpstreamCallTable(connection, clock);
    const limitLog = new LimitLogTable(connection, clock);
    return new SqliteStore({
      path,
      connection,
      tables,
      lanes,
      claims,
      quotas,
      upstreamCalls,
      limitLog,
      workers,
      writer,
      readers,
      sync,
      checkpointer,
      lock,
      clock,
    });
  } catch (error) {
    connection?.close();
    lock?.release();
    throw error;
  }
}

interface SqliteParts {
  readonly path: string;
  readonly connection: SqliteConnection;
  readonly tables: Tables;
  readonly lanes: LaneTable;
  readonly claims: ClaimTable;
  readonly quotas: QuotaTable;
  readonly upstreamCalls: UpstreamCallTable;
  readonly limitLog: LimitLogTable;
  readonly workers: WorkerTable;
  readonly writer: GroupWriter;
  /** Undefined in memory, where no second connection can see the data. */
  readonly readers: ReaderPool | undefined;
  readonly sync: WalSync;
  readonly checkpointer: Checkpointer | undefined;
  readonly lock: ProcessLock | undefined;
  readonly clock: Clock;
}

class SqliteStore implements Store {
  readonly dialect = "sqlite";
  readonly capabilities = { singleProcess: true, serialWrites: true, tenantTablesUpsert: false };
  readonly jobs: JobStore;
  readonly queues: QueueStore;
  readonly workers: WorkerStore;
  readonly events: EventStore;
  readonly idempotency: IdempotencyStore;
  readonly batches: BatchStore;
  readonly rates: RateStore;
  readonly schedules: ScheduleStore;
  readonly quotas: QuotaStore;
  readonly upstreamCalls: UpstreamCallStore;
  readonly limitLog: LimitLog;
  readonly #parts: SqliteParts;
  #closing: Promise<void> | undefined;

  constructor(parts: SqliteParts) {
    this.#parts = parts;
    this.jobs = this.#jobStore();
    this.queues = this.#queueStore();
    this.workers = this.#workerStore();
    this.events = this.#eventStore();
    this.idempotency = this.#idempotencyStore();
    this.batches = this.#batchStore();
    this.rates = this.#rateStore();
    this.schedules = this.#scheduleStore();
    this.quotas = this.#quotaStore();
    this.upstreamCalls = upstreamCallStore(parts.upstreamCalls, (label, call) =>
      this.#unit(label, call),
    );
    this.limitLog = this.#limitLog();
  }

  transact<T>(label: string, work: (tx: StoreTransaction) => Promise<T>): Promise<Committed<T>> {
    return this.#parts.writer.run(label, work);
  }

  async read<T>(
    label: string,
    work: (reader: SqlRunner) => Promise<T>,
    tenant?: string,
  ): Promise<T> {
    const value = await (this.#parts.readers?.read(label, work, tenant) ??
      this.#readThroughWriter(label, work, tenant));
    // What was read may be committed but not on disk yet; saying it then would be a lie after a power cut.
    await this.#parts.sync.settled();
    return value;
  }

  async figures(): Promise<StoreFigures> {
    const now = String(this.#parts.clock.now());
    return this.read("figures", async (reader) => ({
      queues: (await reader.queryText(queueFiguresText(now), [])).rows.map(toQueueFigures),
      consumers: (await reader.queryText(consumerFiguresText, [])).rows.map(toConsumerFigures),
    }));
  }

  work(): StoreWork {
    return { ...this.#parts.writer.work, ...this.#parts.sync.work };
  }

  async check(): Promise<void> {
    const { database } = this.#parts.connection;
    // Writes a page: an empty transaction commits on a full disk too.
    await this.#unit("health check", () => database.exec("pragma user_version = 0"));
  }

  async backup(path: string): Promise<void> {
    if (this.#parts.path === inMemory) {
      throw storeError(
        "store_misconfigured",
        "A store in memory has nothing to back up. Give it a file.",
      );
    }
    // A connection of its own sees committed data only, and one step is one snapshot: a backup in
    // several steps starts over with every write. It runs in libuv's thread pool.
    const source = openReader(this.#parts.path);
    try {
      await backupDatabase(source.database, path, { rate: everyPage });
    } finally {
      source.close();
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { writer, readers, checkpointer, connection, lock } = this.#parts;
    await Promise.all([writer.close(), readers?.close()]);
    await checkpointer?.close();
    connection.close();
    checkpointer?.closeFile();
    lock?.release();
  }

  async #readThroughWriter<T>(
    label: string,
    work: (reader: SqlRunner) => Promise<T>,
    tenant: string | undefined,
  ): Promise<T> {
    const { value } = await this.#parts.writer.run(label, (tx) => {
      tx.actFor(tenant);
      return work(tx.asReader());
    });
    return value;
  }

  /** One of our own short writes, in the next group. */
  #unit<T>(label: string, call: () => T): Promise<T> {
    return this.#parts.writer
      .run(label, (tx) => tx.perform(call))
      .then((committed) => committed.value);
  }

  #jobStore(): JobStore {
    const { claims } = this.#parts;
    const { jobs, settlements } = this.#parts.tables;
    return {
      claim: (queue, owner, limit, keyedLimit = limit) =>
        this.#unit("claim jobs", () => claims.claim(queue, owner, limit, keyedLimit)),
      settle: (ends) => this.#unit("settle jobs", () => settlements.settle(ends)),
      cancel: (id) => this.#unit("cancel job", () => jobs.cancel(id)),
      cancelRequests: (owner) => this.#unit("cancel requests", () => jobs.cancelRequests(owner)),
      nextDueInMs: () => this.#unit("next due job", () => jobs.nextDueInMs()),
      find: (id) => this.#unit("find job", () => jobs.find(id)),
      list: (filter) => this.#unit("list jobs", () => jobs.list(filter)),
      retryDead: (id) => this.#unit("retry dead job", () => jobs.retryDead(id)),
      sweepEnded: (olderThanMs, limit) =>
        this.#unit("sweep jobs", () => jobs.sweepEnded(olderThanMs, limit)),
    };
  }

  #queueStore(): QueueStore {
    const { lanes } = this.#parts;
    return {
      pause: (queue, key) => this.#unit("pause queue", () => lanes.pause(queue, key)),
      resume: (queue, key) => this.#unit("resume queue", () => lanes.resume(queue, key)),
      paused: (limit) => this.#unit("list pauses", () => lanes.paused(limit)),
    };
  }

  #workerStore(): WorkerStore {
    const { workers } = this.#parts;
    return {
      register: (owner) => this.#unit("register worker", () => workers.register(owner)),
      heartbeat: (owner) => this.#unit("heartbeat", () => workers.heartbeat(owner)),
      unregister: (owner) => this.#unit("unregister worker", () => workers.unregister(owner)),
      recoverExpired: (expiryMs) =>
        this.#unit("recover jobs", () => workers.recoverExpired(expiryMs)),
    };
  }

  #eventStore(): EventStore {
    const { events } = this.#parts.tables;
    return {
      read: (after, limit) => this.#unit("read events", () => events.read(after, limit)),
      head: () => this.#unit("log head", () => events.head),
      floor: () => this.#unit("log floor", () => events.floor),
      sweep: (olderThanMs, limit) =>
        this.#unit("sweep events", () => events.sweep(olderThanMs, limit)),
    };
  }

  #idempotencyStore(): IdempotencyStore {
    const { idempotency } = this.#parts.tables;
    return {
      find: (digest) => this.#unit("find answer", () => idempotency.find(digest)),
      sweep: (olderThanMs, limit) =>
        this.#unit("sweep answers", () => idempotency.sweep(olderThanMs, limit)),
    };
  }

  #batchStore(): BatchStore {
    const { batches } = this.#parts.tables;
    return {
      find: (id) => this.#unit("find batch", () => batches.find(id)),
      loadChunk: (batchId, position) =>
        this.#unit("load chunk", () => batches.loadChunk(batchId, position)),
      deadJobs: (types, limit) => this.#unit("dead chunks", () => batches.deadJobs(types, limit)),
      discard: (id) => this.#unit("discard batch", () => batches.discard(id)),
      sweep: (abandonedMs, limit) =>
        this.#unit("sweep batches", () => batches.sweep(abandonedMs, limit)),
    };
  }

  #rateStore(): RateStore {
    const { rates } = this.#parts.tables;
    return {
      reserve: (name, wanted, spacingMs, withinMs) =>
        this.#unit("reserve slots", () => rates.reserve(name, wanted, spacingMs, withinMs)),
    };
  }

  #quotaStore(): QuotaStore {
    const { quotas } = this.#parts;
    return {
      lease: (asks) => this.#unit("lease quotas", () => quotas.lease(asks)),
      sweep: (limit) => this.#unit("sweep quotas", () => quotas.sweep(limit)),
    };
  }

  #limitLog(): LimitLog {
    const { limitLog } = this.#parts;
    return {
      load: () => this.#unit("load limits", () => limitLog.load()),
      append: (entries, mark) => this.#unit("save limits", () => limitLog.append(entries, mark)),
      forget: (policy, n) => this.#unit("forget limits", () => limitLog.forget(policy, n)),
    };
  }

  #scheduleStore(): ScheduleStore {
    const { schedules } = this.#parts.tables;
    return {
      list: () => this.#unit("list schedules", () => schedules.list()),
      ticks: (schedule, limit) => this.#unit("list ticks", () => schedules.ticks(schedule, limit)),
      sweepTicks: (olderThanMs, limit) =>
        this.#unit("sweep ticks", () => schedules.sweepTicks(olderThanMs, limit)),
    };
  }
}
