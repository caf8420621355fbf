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
  SqlValue,
  StoreTransaction,
} from "../contract.ts";
import { storeError } from "../errors.ts";
import type { LockedSchedule, NewTick, ScheduleState } from "../schedule-contract.ts";
import { auditTransaction } from "./audit.ts";
import { batchTransaction } from "./batches.ts";
import { fragmentCommand, type Command } from "./command.ts";
import { addConsumer, findConsumer, lockConsumer, toConsumerState } from "./consumers.ts";
import type { EventLog } from "./events.ts";
import type { ExecutionResult } from "./exchange.ts";
import { findHolder, insertUniqueJob } from "./job-statements.ts";
import { LaneChanges } from "./lanes.ts";
import { unpack } from "./packs.ts";
import { lockSchedule, saveSchedule, toLocked, tryLockSchedule } from "./schedules.ts";
import { completeJob, holdJob } from "./settlements.ts";
import type { TenantGuard } from "./tenant-guard.ts";
import type { UnitSession } from "./unit-session.ts";
import { quietly, refuseActorChange, refuseTransactionControl } from "./user-sql.ts";

/** What a unit of work puts into its commit. */
export interface UnitEffects {
  readonly cursors: ReadonlyMap<string, number>;
  readonly jobs: readonly NewJob[];
  readonly lanes: LaneChanges;
  readonly events: readonly NewEvent[];
  readonly audit: readonly NewAuditEntry[];
  readonly record: IdempotencyRecord | undefined;
}

/** One unit of work; unusable after its end. */
export class PostgresTransaction implements StoreTransaction {
  readonly dialect = "postgres";
  readonly #session: UnitSession;
  readonly #log: EventLog;
  readonly #events: NewEvent[] = [];
  readonly #jobs: NewJob[] = [];
  readonly #audit: NewAuditEntry[] = [];
  readonly #lanes = new LaneChanges();
  readonly #cursors = new Map<string, number>();
  readonly #guard: TenantGuard | undefined;
  #record: IdempotencyRecord | undefined;
  #tenant: string | undefined;
  /** The tenant that the server holds users' SQL to; undefined before the first. */
  #entered: { readonly tenant: string | undefined } | undefined;
  #failure: { readonly error: unknown } | undefined;
  #open = true;

  constructor(session: UnitSession, log: EventLog, guard: TenantGuard | undefined) {
    this.#session = session;
    this.#log = log;
    this.#guard = guard;
  }

  actFor(tenant: string): void {
    this.#tenant = tenant;
  }

  /** What waits for the commit. */
  get effects(): UnitEffects {
    return {
      cursors: this.#cursors,
      jobs: this.#jobs,
      lanes: this.#lanes,
      events: this.#events,
      audit: this.#audit,
      record: this.#record,
    };
  }

  /** The first statement that failed, whether the handler waited for it or not. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  query(fragment: SqlFragment): Promise<readonly Row[]> {
    return quietly(this.#usersQuery(fragmentCommand(fragment)).then((result) => result.rows));
  }

  queryText(text: string, values: readonly SqlValue[]): Promise<QueryResult> {
    return quietly(this.#usersQuery({ text, values }));
  }

  claimKey(digest: Uint8Array): Promise<KeyClaim> {
    return this.#ask(() => this.#session.claimKey(digest));
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
    this.#audit.push(entry);
  }

  insertJob(job: NewJob): void {
    this.#requireOpen();
    this.#jobs.push(job);
    this.#lanes.enter(job);
  }

  async insertUniqueJob(job: NewJob): Promise<{ id: string; inserted: boolean }> {
    // The insert waits for another transaction that holds the key; the holder may end before it is read.
    for (;;) {
      const [inserted, holder] = await this.#send([insertUniqueJob(job), findHolder(job)]);
      if (inserted?.changes === 1) {
        this.#lanes.enter(job);
        return { id: job.id, inserted: true };
      }
      const live = holder?.rows[0];
      if (live !== undefined) return { id: String(live["id"]), inserted: false };
    }
  }

  async completeJob(lease: JobLease): Promise<boolean> {
    const results = await this.#send([...unpack([lease]), completeJob(lease)]);
    const row = results.at(-1)?.rows[0];
    if (row === undefined) return false;
    const { queue, lane } = row;
    if (typeof lane === "string") this.#lanes.leave(String(queue), lane);
    return true;
  }

  async holdJob(lease: JobLease): Promise<boolean> {
    const results = await this.#send([...unpack([lease]), holdJob(lease)]);
    return results.at(-1)?.rows.length === 1;
  }

  async lockConsumer(name: string): Promise<ConsumerState | undefined> {
    const [locked] = await this.#send([lockConsumer(name)]);
    return toConsumerState(locked) ?? (await this.#addConsumer(name));
  }

  readEvents(after: number, limit: number): Promise<readonly LogEvent[]> {
    return this.#log.readWith((commands) => this.#send(commands), after, limit);
  }

  async advanceConsumer(name: string, cursor: number): Promise<void> {
    this.#requireOpen();
    this.#cursors.set(name, cursor);
  }

  get batches(): BatchTransaction {
    return batchTransaction((commands) => this.#send(commands));
  }

  get audit(): AuditTransaction {
    return auditTransaction((commands) => this.#send(commands));
  }

  async lockSchedule(name: string): Promise<LockedSchedule> {
    const locked = toLocked(await this.#send(lockSchedule(name)));
    if (locked === undefined)
      throw new TypeError(`Schedule ${name} was deleted while it was locked`);
    return locked;
  }

  async tryLockSchedule(name: string): Promise<LockedSchedule | undefined> {
    return toLocked(await this.#send(tryLockSchedule(name)));
  }

  async saveSchedule(state: ScheduleState, ticks: readonly NewTick[]): Promise<void> {
    await this.#send(saveSchedule(state, ticks));
  }

  end(): void {
    this.#open = false;
  }

  async #addConsumer(name: string): Promise<ConsumerState | undefined> {
    const [found] = await this.#send([findConsumer(name)]);
    if (found !== undefined && found.rows.length > 0) return undefined;
    const [added] = await this.#send([addConsumer(name)]);
    return toConsumerState(added);
  }

  async #usersQuery(query: Command): Promise<QueryResult> {
    refuseTransactionControl(query.text);
    if (this.#guard !== undefined) refuseActorChange(query.text);
    const { rows, changes } = await this.#ask(() => this.#session.query(query, this.#enter()));
    if (!this.#session.inTransaction) {
      throw this.#fail(
        storeError(
          "store_query_failed",
          "A statement ended the transaction. APIForge begins and commits it; leave that to the handler's return.",
        ),
      );
    }
    return { rows, changes };
  }

  #send(commands: readonly Command[]): Promise<readonly ExecutionResult[]> {
    return this.#ask(() => this.#session.send(commands));
  }

  async #ask<T>(call: () => Promise<T>): Promise<T> {
    this.#requireOpen();
    if (this.#failure !== undefined) throw afterFailure(this.#failure.error);
    try {
      return await call();
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** What holds the user's next statement to his tenant's rows. */
  #enter(): readonly Command[] {
    if (this.#guard === undefined) return [];
    if (this.#entered !== undefined && this.#entered.tenant === this.#tenant) return [];
    this.#entered = { tenant: this.#tenant };
    return [this.#guard.enter(this.#tenant)];
  }

  #fail(error: unknown): unknown {
    this.#failure ??= { error };
    return error;
  }

  #requireOpen(): void {
    if (this.#open) return;
    throw storeError(
      "transaction_closed",
      "The transaction has ended. Await everything that uses it before the handler returns.",
    );
  }
}

function afterFailure(cause: unknown): Error {
  return storeError(
    "store_query_failed",
    "An earlier statement of this transaction failed, and PostgreSQL accepts no other after it: throw to answer.",
    { cause },
  );
}
