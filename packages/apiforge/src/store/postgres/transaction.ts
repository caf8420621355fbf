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
import { batchTransaction } from "./batches.ts";
import { command, fragmentCommand, type Command } from "./command.ts";
import type { PostgresConnection } from "./connection.ts";
import {
  addConsumer,
  findConsumer,
  lockConsumer,
  saveConsumer,
  toConsumerState,
} from "./consumers.ts";
import { appendEvents, headCommand, lastSeq, type EventLog } from "./events.ts";
import type { ExecutionResult } from "./exchange.ts";
import { findAnswer, insertAnswer, lockKey, toKeyClaim } from "./idempotency.ts";
import { findHolder, insertJobs, insertUniqueJob } from "./job-statements.ts";
import { LaneChanges } from "./lanes.ts";
import { lockSchedule, saveSchedule, toLocked, tryLockSchedule } from "./schedules.ts";
import { completeJob, holdJob } from "./settlements.ts";
import type { TenantGuard } from "./tenant-guard.ts";
import { quietly, refuseActorChange, refuseTransactionControl } from "./user-sql.ts";

/** One unit of work on a connection of its own; unusable after its end. */
export class PostgresTransaction implements StoreTransaction {
  readonly dialect = "postgres";
  readonly #connection: PostgresConnection;
  readonly #log: EventLog;
  readonly #events: NewEvent[] = [];
  readonly #jobs: NewJob[] = [];
  readonly #lanes = new LaneChanges();
  readonly #cursors = new Map<string, number>();
  readonly #guard: TenantGuard | undefined;
  #record: IdempotencyRecord | undefined;
  #tenant: string | undefined;
  /** The tenant that the server holds users' SQL to; undefined before the first. */
  #entered: { readonly tenant: string | undefined } | undefined;
  #begun = false;
  #failure: { readonly error: unknown } | undefined;
  #open = true;

  constructor(connection: PostgresConnection, log: EventLog, guard: TenantGuard | undefined) {
    this.#connection = connection;
    this.#log = log;
    this.#guard = guard;
  }

  actFor(tenant: string): void {
    this.#tenant = tenant;
  }

  query(fragment: SqlFragment): Promise<readonly Row[]> {
    return quietly(this.#usersQuery(fragmentCommand(fragment)).then((result) => result.rows));
  }

  queryText(text: string, values: readonly SqlValue[]): Promise<QueryResult> {
    return quietly(this.#usersQuery({ text, values }));
  }

  async claimKey(digest: Uint8Array): Promise<KeyClaim> {
    const [lock, found] = await this.#send([lockKey(digest), findAnswer(digest)]);
    return toKeyClaim(digest, lock, found);
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
    const [result] = await this.#send([completeJob(lease)]);
    const row = result?.rows[0];
    if (row === undefined) return false;
    const { queue, lane } = row;
    if (typeof lane === "string") this.#lanes.leave(String(queue), lane);
    return true;
  }

  async holdJob(lease: JobLease): Promise<boolean> {
    const [held] = await this.#send([holdJob(lease)]);
    return held?.rows.length === 1;
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

  /** Writes what was put into the commit and commits, in one round trip; answers the log position to report. */
  async commit(): Promise<number> {
    this.end();
    // A handler that caught the error of a statement cannot have what the statement undid.
    if (this.#failure !== undefined) throw this.#failure.error;
    const writes = this.#writes();
    // A unit that asked nothing and wrote nothing has nothing to commit.
    if (!this.#begun && writes.length === 0) {
      return lastSeq(await this.#connection.send([headCommand]));
    }
    const answersSeq = this.#events.length > 0 || this.#record !== undefined;
    try {
      return lastSeq(
        await this.#connection.commit([
          ...this.#begin(),
          ...writes,
          ...(answersSeq ? [] : [headCommand]),
          command("commit"),
        ]),
      );
    } catch (error) {
      // A statement that nobody waited for has failed before, which is what to look into.
      throw this.#firstFailure() ?? error;
    }
  }

  /** Undoes everything. What the connection still has open after a failure ends with it. */
  async rollback(): Promise<void> {
    this.end();
    if (!this.#begun || this.#connection.lost) return;
    try {
      await this.#connection.send([command("rollback")]);
    } catch {
      this.#connection.destroy();
    }
  }

  end(): void {
    this.#open = false;
  }

  /**
   * What is written at the end. Locks of lanes are taken here, all at once, so that no handler holds
   * one while it works; the log's is held from the append to the commit, so that comes last.
   */
  #writes(): readonly Command[] {
    const record = this.#record;
    const appended = this.#events.length > 0;
    return [
      ...[...this.#cursors].map(([name, cursor]) => saveConsumer(name, cursor)),
      ...(this.#jobs.length > 0 ? [insertJobs(this.#jobs)] : []),
      ...this.#lanes.commands(),
      ...(appended ? [appendEvents(this.#events)] : []),
      ...(record === undefined ? [] : [insertAnswer(record, appended)]),
    ];
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
    const result = (await this.#send([...this.#enter(), query])).at(-1);
    if (!this.#connection.inTransaction) {
      throw this.#fail(
        storeError(
          "store_query_failed",
          "A statement ended the transaction. APIForge begins and commits it; leave that to the handler's return.",
        ),
      );
    }
    return { rows: result?.rows ?? [], changes: result?.changes ?? 0 };
  }

  async #send(commands: readonly Command[]): Promise<readonly ExecutionResult[]> {
    this.#requireOpen();
    if (this.#failure !== undefined) throw afterFailure(this.#failure.error);
    const begin = this.#begin();
    try {
      const results = await this.#connection.send([...begin, ...commands]);
      return results.slice(begin.length);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** BEGIN, for whatever is sent first. */
  #begin(): readonly Command[] {
    if (this.#begun) return [];
    this.#begun = true;
    return [command("begin")];
  }

  /** What holds the user's next statement to his tenant's rows. */
  #enter(): readonly Command[] {
    if (this.#guard === undefined) return [];
    if (this.#entered !== undefined && this.#entered.tenant === this.#tenant) return [];
    this.#entered = { tenant: this.#tenant };
    return [this.#guard.enter(this.#tenant)];
  }

  #firstFailure(): unknown {
    return this.#failure?.error;
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
