import type { Log } from "../kernel/index.ts";
import type { AuditTransaction, NewAuditEntry } from "./audit-contract.ts";
import type { BatchStore, BatchTransaction, RateStore } from "./batch-contract.ts";
import type { LimitLog, QuotaStore } from "./limit-contract.ts";
import type { ScheduleStore, ScheduleTransaction } from "./schedule-contract.ts";
import type { UpstreamCallStore } from "./upstream-call-contract.ts";

/** A value that both databases can bind. `boolean` is stored as 0 or 1 where SQL has no boolean. */
export type SqlValue = string | number | bigint | boolean | null | Uint8Array;

/** One row as the database returned it, by column name. */
export type Row = Readonly<Record<string, unknown>>;

/** SQL text in pieces with the values between them; each store writes its own placeholders. */
export interface SqlFragment {
  readonly texts: readonly string[];
  readonly values: readonly SqlValue[];
}

/** The SQL that a store speaks. */
export type SqlDialect = "sqlite" | "postgres";

/** Runs users' SQL on the connection of one transaction. */
export interface SqlRunner {
  /** For query builders, which write a dialect's text. */
  readonly dialect: SqlDialect;
  /** Rows that the statement returned; an empty array for one that returns none. */
  query(fragment: SqlFragment): Promise<readonly Row[]>;
  /** Like {@link query} for text that already carries this store's placeholders (query builders). */
  queryText(text: string, values: readonly SqlValue[]): Promise<QueryResult>;
}

/** Rows and the count of rows that an INSERT, UPDATE or DELETE changed. */
export interface QueryResult {
  readonly rows: readonly Row[];
  readonly changes: number;
}

/** The answer of one request under one idempotency key, as it was committed with its effects. */
export interface IdempotencyRecord {
  /** 16 bytes that name tenant, principal, method, route and key. */
  readonly digest: Uint8Array;
  /** 16 bytes of the request's canonical content. */
  readonly fingerprint: Uint8Array;
  readonly key: string;
  readonly status: number;
  /** Content headers that are replayed with the body. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A stored record with the log position that its commit answered. */
export interface StoredAnswer extends IdempotencyRecord {
  readonly seq: number;
  readonly createdAt: number;
}

/** What a key is when a transaction asks for it. */
export type KeyClaim =
  | { readonly outcome: "free" }
  | { readonly outcome: "recorded"; readonly answer: StoredAnswer }
  | { readonly outcome: "in_flight" };

/** An event to be appended to the log by the commit. */
export interface NewEvent {
  readonly id: string;
  readonly type: string;
  readonly tenant: string;
  /** JSON text. */
  readonly data: string;
  readonly requestId: string;
  readonly createdAt: number;
}

/** A committed event. `seq` orders the log; readers never see a higher one before a lower one. */
export interface LogEvent extends NewEvent {
  readonly seq: number;
}

/** The life of a job: see the state machines in ARCHITECTURE.md. */
export const jobStates = [
  "scheduled",
  "ready",
  "waiting",
  "running",
  "completed",
  "dead",
  "cancelled",
] as const;
export type JobState = (typeof jobStates)[number];

/** The lane of a keyed job: jobs of one queue with one key share it, with the limits of the one enqueued last. */
export interface JobLane {
  /** 1-255 characters. */
  readonly key: string;
  /** Jobs that may be leased at once; null for no limit. */
  readonly concurrency: number | null;
  /** Microseconds from one start to the next; 0 for no limit. */
  readonly spacingUs: number;
  /** One at a time by insertion: a job that is tried again keeps its place, and the lane waits for it. */
  readonly ordered: boolean;
}

/** A job to be inserted by the commit. */
export interface NewJob {
  readonly id: string;
  readonly queue: string;
  readonly type: string;
  readonly tenant: string;
  /** JSON text of the validated input. */
  readonly payload: string;
  /** Lower runs first. */
  readonly priority: number;
  /** Milliseconds to wait before the first attempt; 0 makes the job ready with the commit. */
  readonly delayMs: number;
  readonly maxAttempts: number;
  readonly requestId: string;
  /** The span that it is enqueued in; null where none is recorded. */
  readonly traceparent: string | null;
  /** While a job with this key and type is waiting or running, another is not inserted. */
  readonly dedupeKey: string | null;
  /** Null: the job waits for nobody. */
  readonly lane: JobLane | null;
  /** Milliseconds from now until which an attempt may begin; null for ever. */
  readonly deadlineMs: number | null;
}

/** A job leased to this process. `fence` changes with every claim; only its holder may settle. */
export interface ClaimedJob {
  /** Row number: the order of insertion. */
  readonly n: number;
  readonly id: string;
  readonly queue: string;
  readonly type: string;
  readonly tenant: string;
  readonly payload: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly requestId: string;
  readonly traceparent: string | null;
  readonly fence: number;
  /** Processes that died while they held it. */
  readonly deaths: number;
  /** The key of its lane. */
  readonly key: string | null;
  /** Milliseconds to the start that the rate of its lane leaves to this job; null without a rate. A start that is missed is lost: give the job back. */
  readonly startInMs: number | null;
  /** Milliseconds until its deadline; null for none. */
  readonly deadlineInMs: number | null;
}

/** The identity of a lease on one job. */
export interface JobLease {
  readonly n: number;
  readonly fence: number;
}

/** How an attempt ended. A job that is asked to be cancelled is cancelled where it would wait again. */
export type JobSettlement =
  | ({ readonly outcome: "completed" } & JobLease)
  | ({ readonly outcome: "retry"; readonly delayMs: number; readonly error: string } & JobLease)
  | ({ readonly outcome: "dead"; readonly error: string } & JobLease)
  | ({ readonly outcome: "cancelled" } & JobLease)
  /** Waits and is tried again; the attempt does not count. */
  | ({ readonly outcome: "snoozed"; readonly delayMs: number } & JobLease)
  /** Gives the job back unrun: its attempt does not count. */
  | ({ readonly outcome: "released" } & JobLease);

/** A job as the management API shows it. */
export interface JobRecord {
  readonly id: string;
  readonly queue: string;
  readonly type: string;
  readonly tenant: string;
  readonly state: JobState;
  readonly payload: string;
  readonly priority: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly runAt: number;
  readonly createdAt: number;
  readonly finishedAt: number | null;
  readonly lastError: string | null;
  readonly dedupeKey: string | null;
  readonly requestId: string;
  /** The key of its lane. */
  readonly key: string | null;
  readonly deadlineAt: number | null;
}

/** Everything that one unit of work may do before it commits. Calls after its end are refused. */
export interface StoreTransaction extends SqlRunner, ScheduleTransaction {
  /** From here on users' SQL sees and writes only this tenant's rows of tenant tables; before, none. */
  actFor(tenant: string): void;
  /**
   * Asks for an idempotency key, and holds it against every other transaction on any node until
   * this one ends. Two transactions never hold one key.
   */
  claimKey(digest: Uint8Array): Promise<KeyClaim>;
  /** Puts the answer into the commit. A record that another node committed first fails the commit with `idempotency_key_taken`. */
  recordAnswer(record: IdempotencyRecord): void;
  /** Puts an event into the commit. */
  appendEvent(event: NewEvent): void;
  /** Puts an entry of the audit log into the commit. */
  appendAudit(entry: NewAuditEntry): void;
  /** Puts a job without a dedupe key into the commit. */
  insertJob(job: NewJob): void;
  /** Inserts a job with a dedupe key at once; answers the id of the live job that holds the key, new or old. */
  insertUniqueJob(job: NewJob): Promise<{ id: string; inserted: boolean }>;
  /** Marks a leased job completed in this commit; false when the lease is lost. */
  completeJob(lease: JobLease): Promise<boolean>;
  /** Keeps a leased job from being given to another owner until this transaction ends; false when the lease is lost. */
  holdJob(lease: JobLease): Promise<boolean>;
  /** Locks a consumer for this transaction; undefined when another node is at work on it. */
  lockConsumer(name: string): Promise<ConsumerState | undefined>;
  /** Committed events after `after`, as {@link EventStore.read} answers them. */
  readEvents(after: number, limit: number): Promise<readonly LogEvent[]>;
  /** Moves a locked consumer's cursor in this commit. */
  advanceConsumer(name: string, cursor: number): Promise<void>;
  readonly batches: BatchTransaction;
  readonly audit: AuditTransaction;
}

/** Where a named reader of the log stands. */
export interface ConsumerState {
  /** The last event it has dealt with; a new one stands at the beginning of what is kept. */
  readonly cursor: number;
  /** The last event that was deleted: one whose cursor lies before it has missed what is in between. */
  readonly floor: number;
}

/** The result of a commit that is on disk. */
export interface Committed<T> {
  readonly value: T;
  /** The last event of this commit, or the log's head as this commit saw it. */
  readonly seq: number;
}

/** Jobs outside the transactions of handlers; each call is a commit of its own, shared where the store can. */
export interface JobStore {
  /**
   * Leases up to `limit` jobs of `queue` to `owner`, at most `keyedLimit` of them keyed (default
   * `limit`), after promoting the due ones: jobs without a key in (priority, insertion) order; of
   * the lanes that have room, each its share, the one served least recently first. Which of both
   * goes first alternates. A job that a process died with goes to an owner that holds no other such.
   */
  claim(
    queue: string,
    owner: string,
    limit: number,
    keyedLimit?: number,
  ): Promise<readonly ClaimedJob[]>;
  /**
   * Ends attempts. Answers, position by position, whether the lease was still held; what is not held
   * is untouched. Of several settlements of one lease the first counts: it is not held for the later ones.
   */
  settle(settlements: readonly JobSettlement[]): Promise<readonly boolean[]>;
  /**
   * Ends a job that waits; asks for the end of one that runs (see {@link cancelRequests}); leaves
   * alone one that has ended. Answers its state afterwards; undefined when there is no such job.
   */
  cancel(id: string): Promise<JobState | undefined>;
  /** The ids of running jobs of `owner` that are asked to be cancelled. */
  cancelRequests(owner: string): Promise<readonly string[]>;
  /** Milliseconds until the next scheduled job or resting lane of any queue is due, never negative; undefined when none is. */
  nextDueInMs(): Promise<number | undefined>;
  find(id: string): Promise<JobRecord | undefined>;
  /** Newest first. */
  list(filter: { state?: JobState; type?: string; limit: number }): Promise<readonly JobRecord[]>;
  /** Makes a dead job ready with a full set of attempts; false when it is not dead, `job_duplicate` when its dedupe key is held. */
  retryDead(id: string): Promise<boolean>;
  /** Deletes up to `limit` completed or cancelled jobs that ended more than `olderThanMs` ago, and lanes that nothing is left of; answers how many jobs. */
  sweepEnded(olderThanMs: number, limit: number): Promise<number>;
}

/** A queue, or one key of it, whose jobs are not handed out. */
export interface Pause {
  readonly queue: string;
  /** Null: the whole queue. */
  readonly key: string | null;
  readonly pausedAt: number;
}

/** Holding queues and keys back; running jobs go on. Both outlive the process. */
export interface QueueStore {
  /** Hands out nothing of `queue` any more, or nothing of one key of it. */
  pause(queue: string, key: string | null): Promise<void>;
  /** False when it was not paused. */
  resume(queue: string, key: string | null): Promise<boolean>;
  /** Up to `limit` pauses, queues before keys. */
  paused(limit: number): Promise<readonly Pause[]>;
}

/** Jobs of one queue in one state. */
export interface QueueFigures {
  readonly queue: string;
  readonly state: JobState;
  /** Counted up to 100,000. */
  readonly jobs: number;
  /** How long the first of them has been due; null where that is not known. */
  readonly oldestMs: number | null;
}

/** How far a named reader of the log is. */
export interface ConsumerFigures {
  readonly name: string;
  readonly cursor: number;
}

/** What there is to do. */
export interface StoreFigures {
  readonly queues: readonly QueueFigures[];
  readonly consumers: readonly ConsumerFigures[];
}

/** What this process had done by its store since it was opened. */
export interface StoreWork {
  /** Transactions that were committed. */
  readonly commits: number;
  /** Units of work in them. */
  readonly units: number;
  /** Flushes of the log to the disk, where this process does them. */
  readonly syncs: number;
  readonly syncMs: number;
}

/** Which processes live; a lease is worth as much as its owner's heartbeat. */
export interface WorkerStore {
  register(owner: string): Promise<void>;
  /** Says that `owner` lives; false when it was declared dead: its leases are gone. */
  heartbeat(owner: string): Promise<boolean>;
  /** Removes an owner and makes the jobs it still holds ready again. */
  unregister(owner: string): Promise<void>;
  /** Makes ready the jobs of every owner whose heartbeat is older than `expiryMs`; answers how many. */
  recoverExpired(expiryMs: number): Promise<number>;
}

/** Reading the log. */
export interface EventStore {
  /**
   * Up to `limit` committed events after `after`, in order, with none left out that a later read could show.
   * @throws {events_swept} when events after `after` were deleted.
   */
  read(after: number, limit: number): Promise<readonly LogEvent[]>;
  /** The highest `seq` below which every event is readable. */
  head(): Promise<number>;
  /** The last event that was deleted, after which reading can begin; 0 when none was. */
  floor(): Promise<number>;
  /**
   * Deletes up to `limit` events from the beginning of the log that were appended more than `olderThanMs` ago,
   * never the last of all; answers how many.
   */
  sweep(olderThanMs: number, limit: number): Promise<number>;
}

/** Idempotency records outside of transactions. */
export interface IdempotencyStore {
  find(digest: Uint8Array): Promise<StoredAnswer | undefined>;
  /** Deletes up to `limit` records older than `olderThanMs`; answers how many. */
  sweep(olderThanMs: number, limit: number): Promise<number>;
}

/** One step of a schema. Applied once, in the order of the list, never edited afterwards. */
export interface Migration {
  /** Unique, for example `0001-projects`. */
  readonly name: string;
  readonly sqlite: string;
  readonly postgres: string;
  /**
   * Tables that this step makes and fills, with a column `tenant` and a primary key, of which users'
   * SQL sees and writes only the rows of the tenant that it acts for. PostgreSQL guards them by row
   * level security, SQLite by a view in the table's place.
   */
  readonly tenantTables?: readonly string[] | undefined;
}

/** What every store needs to be opened. */
export interface StoreOptions {
  /** Migrations of the application; applied after ours, safely by many nodes at once. */
  readonly migrations: readonly Migration[];
  /** Longest time of one transaction before it is cut off and rolled back. */
  readonly transactionLimitMs: number;
  readonly log: Log;
}

/** What a store can do that the other cannot; rooms ask for the capability, never for the dialect. */
export interface StoreCapabilities {
  /** Only one process can use the data, so at start every lease of an earlier one is void. */
  readonly singleProcess: boolean;
  /** Writing handlers run one after another, so one that waits delays all others. */
  readonly serialWrites: boolean;
  /** A tenant table takes `on conflict`, and the defaults of its columns hold; a view has neither. */
  readonly tenantTablesUpsert: boolean;
}

/**
 * Durable storage of one APIForge deployment: SQLite in the process or PostgreSQL beside it.
 * Every promise resolves only after what it reports is on disk.
 * Errors: `store_unavailable` (safe to try again), `transaction_timeout`, `commit_outcome_unknown`.
 */
export interface Store {
  readonly dialect: SqlDialect;
  readonly capabilities: StoreCapabilities;
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
  /** Only where one process has the data, which then counts limits by itself. */
  readonly limitLog?: LimitLog;
  /**
   * Runs `work` in one transaction and resolves once its commit is on disk; a throw rolls all of
   * it back and rethrows. `label` names the route or job in the log when it is cut off.
   */
  transact<T>(label: string, work: (tx: StoreTransaction) => Promise<T>): Promise<Committed<T>>;
  /**
   * Runs `work` on one consistent snapshot that cannot write; resolves once all it could see is on
   * disk. Of tenant tables it sees the rows of `tenant`; without one, none.
   */
  read<T>(label: string, work: (reader: SqlRunner) => Promise<T>, tenant?: string): Promise<T>;
  /** What waits, by queue and by reader of the log. */
  figures(): Promise<StoreFigures>;
  work(): StoreWork;
  /** Resolves when the store can commit; throws `store_unavailable` otherwise. */
  check(): Promise<void>;
  /** Copies the whole store to `path` while it is in use, where the store can. */
  backup?(path: string): Promise<void>;
  close(): Promise<void>;
}

/** The reading side of a store, for programs beside the server. */
export type StoreReads = Pick<Store, "read" | "close"> & {
  readonly upstreamCalls: Pick<UpstreamCallStore, "list">;
};
