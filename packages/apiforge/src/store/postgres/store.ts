import type { Client } from "pg";

import { systemClock, type Clock, type Log } from "../../kernel/index.ts";
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
import type { QuotaStore } from "../limit-contract.ts";
import type { ScheduleStore } from "../schedule-contract.ts";
import type { UpstreamCallStore } from "../upstream-call-contract.ts";
import { BatchTable } from "./batches.ts";
import { command } from "./command.ts";
import { connectAlone, loadDriver } from "./driver.ts";
import { EventLog } from "./events.ts";
import { IdempotencyTable } from "./idempotency.ts";
import { JobTable } from "./jobs.ts";
import { QueueTable } from "./lanes.ts";
import { migrate } from "./migrations.ts";
import { ConnectionPool } from "./pool.ts";
import { QuotaTable } from "./quotas.ts";
import { RateTable } from "./rates.ts";
import { SnapshotReaders } from "./readers.ts";
import { ScheduleTable } from "./schedules.ts";
import { openTenantGuard, type TenantGuard } from "./tenant-guard.ts";
import { UpstreamCallTable } from "./upstream-calls.ts";
import { WorkerTable } from "./workers.ts";
import { UnitWriter, type Grouping } from "./writer.ts";

/** The oldest server whose SQL is used: 13, as `server_version_num` writes it. */
const oldestServer = 130_000;
// Changes nothing, and is refused by a server that takes no writes.
const writableCommand = command("update forge_workers set owner = owner where false");
const figuresCommands = [command(queueFiguresText("forge_now()")), command(consumerFiguresText)];

/** Where and how a PostgreSQL store is opened. */
export interface PostgresStoreOptions extends StoreOptions {
  /** `postgres://user:password@host:port/database`, with the parameters that `pg` knows. */
  readonly url: string;
  /** Connections of this process; each carries one transaction at a time. Default 10. */
  readonly poolSize?: number;
  readonly clock?: Clock;
  readonly grouping?: Grouping;
}

/**
 * Opens a store on a PostgreSQL server, 13 or later, and creates or completes its tables.
 * @throws {store_misconfigured} when `pg` is not installed, the login is refused, or the server is
 * too old or set up to lose commits.
 * @throws {store_unavailable} when the server cannot be reached.
 * @throws {migration_changed} when an applied migration was edited.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const { url, migrations, log, clock = systemClock } = options;
  const driver = await loadDriver();
  const client = await connectAlone(driver, url);
  let guard: TenantGuard | undefined;
  try {
    await requireDurableServer(client, log);
    await migrate(client, [...coreMigrations, ...migrations]);
    guard = await openTenantGuard(client, migrations);
  } finally {
    await client.end();
  }
  const settings = { ...options, clock };
  const pool = new ConnectionPool(driver, settings, () => events.forget());
  const events: EventLog = new EventLog(pool);
  return new PostgresStore(
    pool,
    events,
    new UnitWriter(pool, events, { ...settings, guard }),
    clock,
    guard,
  );
}

interface ServerSettings {
  readonly version: number;
  readonly commit: string;
  readonly fsync: string;
  readonly isolation: string;
}

/** Reads the settings that the promises rest on, and refuses a server that breaks them. */
async function requireDurableServer(client: Client, log: Log): Promise<void> {
  const { rows } = await client.query<ServerSettings>(
    `select current_setting('server_version_num')::integer as version,
       current_setting('synchronous_commit') as commit, current_setting('fsync') as fsync,
       current_setting('default_transaction_isolation') as isolation`,
  );
  const [server] = rows;
  if (server === undefined || server.version < oldestServer) {
    throw storeError("store_misconfigured", "The store needs PostgreSQL 13 or later.");
  }
  if (server.commit === "off") {
    throw storeError(
      "store_misconfigured",
      "synchronous_commit is off for this user or database: a crash would lose answered requests. Set it to on.",
    );
  }
  if (server.isolation !== "read committed") {
    throw storeError(
      "store_misconfigured",
      "default_transaction_isolation of this user or database must be 'read committed': each statement has to see what was committed before it.",
    );
  }
  if (server.fsync === "off") {
    log.warn({}, "PostgreSQL runs with fsync off: a power cut loses answered requests");
  }
}

class PostgresStore implements Store {
  readonly dialect = "postgres";
  readonly capabilities = { singleProcess: false, serialWrites: false, tenantTablesUpsert: true };
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
  readonly #pool: ConnectionPool;
  readonly #writer: UnitWriter;
  readonly #readers: SnapshotReaders;

  constructor(
    pool: ConnectionPool,
    events: EventLog,
    writer: UnitWriter,
    clock: Clock,
    guard: TenantGuard | undefined,
  ) {
    this.#pool = pool;
    this.#writer = writer;
    this.#readers = new SnapshotReaders(pool, guard);
    this.jobs = new JobTable(pool, clock);
    this.queues = new QueueTable(pool);
    this.workers = new WorkerTable(pool);
    this.events = events;
    this.idempotency = new IdempotencyTable(pool);
    this.batches = new BatchTable(pool);
    this.rates = new RateTable(pool);
    this.schedules = new ScheduleTable(pool);
    this.quotas = new QuotaTable(pool);
    this.upstreamCalls = new UpstreamCallTable(pool);
  }

  transact<T>(label: string, work: (tx: StoreTransaction) => Promise<T>): Promise<Committed<T>> {
    return this.#writer.run(label, work);
  }

  read<T>(label: string, work: (reader: SqlRunner) => Promise<T>, tenant?: string): Promise<T> {
    return this.#readers.read(label, work, tenant);
  }

  async figures(): Promise<StoreFigures> {
    const [queues, consumers] = await this.#pool.run("figures", figuresCommands);
    return {
      queues: (queues?.rows ?? []).map(toQueueFigures),
      consumers: (consumers?.rows ?? []).map(toConsumerFigures),
    };
  }

  work(): StoreWork {
    return { ...this.#writer.work, syncs: 0, syncMs: 0 };
  }

  async check(): Promise<void> {
    await this.#pool.run("health check", [writableCommand]);
  }

  close(): Promise<void> {
    return this.#pool.close(() => this.#writer.close());
  }
}
