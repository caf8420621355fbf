import { durationMs, newId } from "../kernel/index.ts";
import { activeTraceparent } from "../resilience/index.ts";
import type { Schema, SchemaInput, SchemaResult } from "../schema/index.ts";
import type { JobLane, NewJob, SqlRunner, StoreTransaction } from "../store/index.ts";
import { requireAction, type AuditRecord } from "./audit/record.ts";
import { HandlerBatches, type TransactionBatches } from "./batches/handler-batches.ts";
import { batchReader, type BatchReader } from "./batches/reads.ts";
import type { EnqueueOptions, EventDefinition, JobDefinition } from "./definitions.ts";
import { durableError } from "./errors.ts";
import { sql, type SqlTag } from "./sql.ts";

/** Largest stored payload of a job or event. Larger content belongs in a row or a file that the payload names. */
export const maxPayloadBytes = 256 * 1024;

const maxKeyChars = 255;
const noOptions: EnqueueOptions = {};

/** On whose behalf a transaction runs; stamped on its events, jobs and audit entries. */
export interface Actor {
  readonly tenant: string;
  readonly requestId: string;
  /** Who calls; undefined where nobody in particular does. */
  readonly subject?: string | undefined;
}

/** Reads on one consistent snapshot. */
export interface Reader {
  readonly sql: SqlTag;
  /** For query builders such as Kysely: text with this store's placeholders. */
  readonly runner: SqlRunner;
  readonly batches: BatchReader;
}

/** One commit: whatever is done through it happens together or not at all. */
export interface Transaction extends Reader {
  /**
   * Appends an event to the log with this commit; answers its id.
   * @throws {event_invalid} when `data` does not satisfy the event's schema.
   * @throws {payload_too_large} above 256 KB.
   */
  emit<S extends Schema>(event: EventDefinition<S>, data: SchemaInput<S>): string;
  /**
   * Adds a job that exists exactly when this commit does; answers its id. With a dedupe key that
   * a live job holds, answers that job's id and adds nothing.
   * @throws {job_input_invalid} when `input` does not satisfy the job's schema.
   * @throws {payload_too_large} above 256 KB.
   * @throws {RangeError} when an option is outside of what {@link EnqueueOptions} allows.
   */
  enqueue<S extends Schema>(
    job: JobDefinition<S>,
    input: SchemaInput<S>,
    options?: EnqueueOptions,
  ): Promise<EnqueuedJob>;
  /**
   * Writes into the audit log with this commit, for good: entries are chained, and neither changed
   * nor deleted. Answers the entry's id. What is refused by a throw leaves no entry: return the
   * refusal.
   * @throws {payload_too_large} above 256 KB.
   * @throws {RangeError} when the action is outside of what {@link AuditRecord} allows.
   */
  audit(record: AuditRecord): string;
  readonly batches: TransactionBatches;
}

/** A transaction as whoever commits it sees it. */
export interface OwnTransaction extends Transaction {
  /** True once its commit may leave work: an event, a job, or what a batch does next. */
  readonly leavesWork: boolean;
}

/** The job that an enqueue led to. */
export interface EnqueuedJob {
  readonly id: string;
  /** True when a live job with the same dedupe key was there before. */
  readonly deduplicated: boolean;
}

/** The reader side of a store connection. */
export function createReader(runner: SqlRunner): Reader {
  return new SnapshotReader(runner);
}

/** The handler's view of one store transaction. */
export function createTransaction(
  store: StoreTransaction,
  actor: Actor,
  nowMs: number,
): OwnTransaction {
  store.actFor(actor.tenant);
  return new UnitTransaction(store, actor, nowMs);
}

/*
 * Classes, because an object literal with a getter gets a hidden class of its own each time, which V8
 * keeps in its old generation with all that the getter closes over: each request with its answer
 * outlived every scavenge (4.7 of 22 MB did) and waited for a mark-compact.
 */
class SnapshotReader implements Reader {
  readonly runner: SqlRunner;
  readonly sql: SqlTag;

  constructor(runner: SqlRunner) {
    this.runner = runner;
    this.sql = sqlTag(runner);
  }

  get batches(): BatchReader {
    return batchReader(this.runner);
  }
}

class UnitTransaction implements OwnTransaction {
  leavesWork = false;
  readonly runner: StoreTransaction;
  readonly sql: SqlTag;
  readonly #actor: Actor;
  readonly #nowMs: number;

  constructor(store: StoreTransaction, actor: Actor, nowMs: number) {
    this.runner = store;
    this.sql = sqlTag(store);
    this.#actor = actor;
    this.#nowMs = nowMs;
  }

  get batches(): TransactionBatches {
    this.leavesWork = true;
    return new HandlerBatches(this.runner, this.#actor, this);
  }

  // Properties, so that a handler may take them out of `tx`.
  readonly emit: Transaction["emit"] = (event, data) => {
    const id = newId("evt");
    const payload = toPayload(
      `Event ${event.name}`,
      checked(event.compiled.validate(data), "event_invalid", event.name),
    );
    const { tenant, requestId } = this.#actor;
    const createdAt = this.#nowMs;
    this.leavesWork = true;
    this.runner.appendEvent({ id, type: event.name, data: payload, tenant, requestId, createdAt });
    return id;
  };

  readonly audit: Transaction["audit"] = ({ action, subject, detail = {} }) => {
    requireAction(action);
    const id = newId("aud");
    const { tenant, requestId } = this.#actor;
    this.runner.appendAudit({
      id,
      tenant,
      subject: subject ?? this.#actor.subject ?? null,
      action,
      detail: toPayload(`Audit entry ${action}`, detail),
      requestId,
      createdAt: this.#nowMs,
    });
    return id;
  };

  readonly enqueue: Transaction["enqueue"] = async (job, input, options = noOptions) => {
    const value = checked(job.compiled.validate(input), "job_input_invalid", job.name);
    // The input is stored as given: it is validated again, and converted, when the job runs.
    const payload = toPayload(`Job ${job.name}`, input);
    const lane = toLane(job, options.key ?? job.keyOf(value), options);
    const added = newJob(job, payload, lane, this.#actor, options);
    this.leavesWork = true;
    if (added.dedupeKey !== null) {
      const { id, inserted } = await this.runner.insertUniqueJob(added);
      return { id, deduplicated: !inserted };
    }
    this.runner.insertJob(added);
    return { id: added.id, deduplicated: false };
  };
}

function sqlTag(runner: SqlRunner): SqlTag {
  // The row type is the caller's statement about his own table, as in every SQL client.
  return ((texts, ...inputs) => runner.query(sql(texts, ...inputs))) as SqlTag;
}

function newJob(
  job: JobDefinition,
  payload: string,
  lane: JobLane | null,
  actor: Actor,
  options: EnqueueOptions,
): NewJob {
  return {
    id: newId("job"),
    queue: job.queue,
    type: job.name,
    payload,
    priority: checkedPriority(options.priority ?? job.priority),
    delayMs: durationMs(options.delay ?? 0),
    maxAttempts: job.attempts,
    dedupeKey: options.dedupeKey === undefined ? null : checkedKey("dedupe key", options.dedupeKey),
    lane,
    deadlineMs: options.deadline === undefined ? null : durationMs(options.deadline),
    tenant: actor.tenant,
    requestId: actor.requestId,
    traceparent: activeTraceparent(),
  };
}

function checkedPriority(priority: number): number {
  // What a 32-bit column holds.
  if (Number.isInteger(priority) && Math.abs(priority) < 2 ** 31) return priority;
  throw new RangeError(`${priority} is not a priority; write a whole number below 2^31`);
}

function toLane<S extends Schema>(
  { name, lane }: JobDefinition<S>,
  key: string | undefined,
  { priority, delay }: EnqueueOptions,
): JobLane | null {
  if (key === undefined) return null;
  if (lane.ordered && (priority !== undefined || delay !== undefined)) {
    throw new RangeError(
      `Jobs ${name} of one key run in the order of insertion; leave out priority and delay`,
    );
  }
  return { ...lane, key: checkedKey("key", key) };
}

function checkedKey(what: string, key: string): string {
  if (key.length >= 1 && key.length <= maxKeyChars) return key;
  throw new RangeError(
    `A ${what} has 1 to ${maxKeyChars} characters, not ${key.length}; hash longer ones`,
  );
}

function checked<T>(
  result: SchemaResult<T>,
  code: "event_invalid" | "job_input_invalid",
  name: string,
): T {
  if (result.ok) return result.value;
  const issues = result.issues
    .map((issue) => `${issue.path || "value"}: ${issue.message}`)
    .join("; ");
  throw durableError(code, `Data of ${name} does not satisfy its schema: ${issues}`);
}

function toPayload(what: string, value: unknown): string {
  const payload = JSON.stringify(value) ?? "null";
  // A string has at most 3 bytes a UTF-16 unit; most payloads never need the exact count.
  if (payload.length * 3 > maxPayloadBytes && Buffer.byteLength(payload) > maxPayloadBytes) {
    throw durableError(
      "payload_too_large",
      `${what} carries ${Buffer.byteLength(payload)} bytes; at most ${maxPayloadBytes} are stored. Put the content in a row or file and pass its id.`,
    );
  }
  return payload;
}
