import { backup as backupDatabase } from "node:sqlite";

import { systemClock, type Clock } from "../../kernel/index.ts";
import type {
  Committed,
  EventStore,
  IdempotencyStore,
  JobStore,
  SqlRunner,
  Store,
  StoreOptions,
  StoreTransaction,
  WorkerStore,
} from "../contract.ts";
import { storeError } from "../errors.ts";
import { coreMigrations } from "../migrations/index.ts";
import { Checkpointer } from "./checkpointer.ts";
import { inMemory, openReader, openWriter, type SqliteConnection } from "./connection.ts";
import { prepareFolder } from "./data-folder.ts";
import { EventLog } from "./events.ts";
import { IdempotencyTable } from "./idempotency.ts";
import { JobTable } from "./jobs.ts";
import { migrate } from "./migrations.ts";
import { lockProcess, type ProcessLock } from "./process-lock.ts";
import { ReaderPool } from "./readers.ts";
import { ConsumerTable, type Tables } from "./transaction.ts";
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
    const tables: Tables = {
      idempotency: new IdempotencyTable(connection, clock),
      events: new EventLog(connection),
      jobs: new JobTable(connection, clock),
      consumers: new ConsumerTable(connection),
    };
    const sync = new WalSync(path);
    await sync.wait();
    const checkpointer = persistent ? new Checkpointer(path, connection, log) : undefined;
    const limit = { clock, log, transactionLimitMs };
    const writer = new GroupWriter({ connection, tables, sync, checkpointer, ...limit });
    const readers = persistent ? new ReaderPool(path, limit) : undefined;
    const workers = new WorkerTable(connection, tables.jobs, clock);
    return new SqliteStore({
      path,
      connection,
      tables,
      workers,
      writer,
      readers,
      sync,
      checkpointer,
      lock,
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
  readonly workers: WorkerTable;
  readonly writer: GroupWriter;
  /** Undefined in memory, where no second connection can see the data. */
  readonly readers: ReaderPool | undefined;
  readonly sync: WalSync;
  readonly checkpointer: Checkpointer | undefined;
  readonly lock: ProcessLock | undefined;
}

class SqliteStore implements Store {
  readonly dialect = "sqlite";
  readonly capabilities = { singleProcess: true, serialWrites: true, tenantTablesUpsert: false };
  readonly jobs: JobStore;
  readonly workers: WorkerStore;
  readonly events: EventStore;
  readonly idempotency: IdempotencyStore;
  readonly #parts: SqliteParts;
  #closing: Promise<void> | undefined;

  constructor(parts: SqliteParts) {
    this.#parts = parts;
    this.jobs = this.#jobStore();
    this.workers = this.#workerStore();
    this.events = this.#eventStore();
    this.idempotency = this.#idempotencyStore();
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
    const { jobs } = this.#parts.tables;
    return {
      claim: (queue, owner, limit) =>
        this.#unit("claim jobs", () => jobs.claim(queue, owner, limit)),
      settle: (settlements) =>
        this.#unit("settle jobs", () => settlements.map((settlement) => jobs.settle(settlement))),
      nextDueInMs: () => this.#unit("next due job", () => jobs.nextDueInMs()),
      find: (id) => this.#unit("find job", () => jobs.find(id)),
      list: (filter) => this.#unit("list jobs", () => jobs.list(filter)),
      retryDead: (id) => this.#unit("retry dead job", () => jobs.retryDead(id)),
      sweepCompleted: (olderThanMs, limit) =>
        this.#unit("sweep jobs", () => jobs.sweepCompleted(olderThanMs, limit)),
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
}
