import { durationMs, type Duration } from "../kernel/index.ts";
import type { BackoffPolicy } from "../resilience/index.ts";
import { exponential } from "../resilience/index.ts";
import {
  compileSchema,
  type CompiledSchema,
  type Schema,
  type SchemaOutput,
} from "../schema/index.ts";
import type { JobLane, LogEvent } from "../store/index.ts";
import type { Transaction } from "./transaction.ts";

/** A type of event with the schema that every event of it satisfies. */
export interface EventDefinition<S extends Schema = Schema> {
  /** Dotted lower-case name, for example `project.created`. */
  readonly name: string;
  readonly schema: S;
  readonly compiled: CompiledSchema<SchemaOutput<S>>;
}

/** Declares an event type. Its data is checked against `schema` when it is emitted. */
export function defineEvent<S extends Schema>(name: string, schema: S): EventDefinition<S> {
  return { name, schema, compiled: compileSchema(schema) };
}

/** What the handler of a job is given for one attempt. */
export interface JobContext<Input> {
  readonly id: string;
  readonly input: Input;
  /** 1 for the first attempt. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly tenant: string;
  readonly requestId: string;
  /** Equal on every attempt of this job: pass it to providers that take an idempotency key. */
  readonly idempotencyKey: string;
  /** Aborted when the attempt runs out of time, its deadline comes, the job is cancelled or the process stops. */
  readonly signal: AbortSignal;
  /**
   * Ends the job with effects: rows, events and follow-up jobs commit together with the
   * completion, or not at all. At most once per attempt, as the last thing the handler does.
   * @throws {job_lease_lost} when another process has taken the job over; nothing was committed.
   */
  complete(effects: (tx: Transaction) => Promise<void>): Promise<void>;
  /**
   * Commits effects while the job goes on, for instance how far it has come: they stay whatever
   * becomes of the attempt, and an attempt that comes after it sees them. As often as is useful.
   * Answers what `effects` does.
   * @throws {job_lease_lost} when another process has taken the job over; nothing was committed.
   */
  readonly commit: <T>(effects: (tx: Transaction) => Promise<T>) => Promise<T>;
}

/** How a job type behaves; every field but `input` and `run` has a default. */
export interface JobOptions<S extends Schema> {
  readonly input: S;
  /** Runs one attempt, outside of any transaction. A throw fails the attempt. */
  readonly run: (context: JobContext<SchemaOutput<S>>) => Promise<void>;
  /** Jobs of one queue share its concurrency. Default `default`. */
  readonly queue?: string;
  /** Attempts before the job is dead, 1 or more. Default 5. */
  readonly attempts?: number;
  /** Wait between attempts. Default exponential from 2 s with full jitter. */
  readonly backoff?: BackoffPolicy;
  /** Lower runs first. Default 0. */
  readonly priority?: number;
  /** Longest time of one attempt. Default 60 s. */
  readonly timeout?: Duration;
  /** The key of a job with this input, 1-255 characters: jobs of one queue with one key share a lane. Default none. */
  readonly key?: (input: SchemaOutput<S>) => string;
  /** What holds for the jobs of each key. Where types of one queue share a key, the job enqueued last decides. */
  readonly lane?: LaneOptions;
}

/** Limits of one key, kept strictly on all nodes together, over crashes and takeovers. */
export interface LaneOptions {
  /** Jobs of the key that run at once. Default no limit. */
  readonly concurrency?: number;
  /** At most `limit` starts in any span of length `per`, evenly spaced. A process begins a job up to 100 ms after its start, or gives it back. */
  readonly rate?: { readonly limit: number; readonly per: Duration };
  /** One at a time by insertion; a job that is tried again holds up its key, and no other. Without priorities and delays. */
  readonly ordered?: true;
}

/** A type of job. */
export interface JobDefinition<S extends Schema = Schema> {
  readonly name: string;
  readonly queue: string;
  readonly input: S;
  readonly compiled: CompiledSchema<SchemaOutput<S>>;
  readonly attempts: number;
  readonly backoff: BackoffPolicy;
  readonly priority: number;
  readonly timeoutMs: number;
  readonly lane: Omit<JobLane, "key">;
  /** The key of a job with this input; undefined for none. */
  keyOf(input: SchemaOutput<S>): string | undefined;
  /** A method, so that definitions with different inputs fit in one list. */
  run(context: JobContext<SchemaOutput<S>>): Promise<void>;
}

/** Declares a job type. `name` is stored with every job and stays the same across deployments. */
export function defineJob<S extends Schema>(
  name: string,
  options: JobOptions<S>,
): JobDefinition<S> {
  const attempts = options.attempts ?? 5;
  if (!Number.isInteger(attempts) || attempts < 1) {
    throw new RangeError(
      `Job ${name}: attempts must be a whole number of 1 or more, not ${attempts}`,
    );
  }
  return {
    name,
    queue: options.queue ?? "default",
    input: options.input,
    compiled: compileSchema(options.input),
    attempts,
    backoff: options.backoff ?? exponential("2s"),
    priority: options.priority ?? 0,
    timeoutMs: durationMs(options.timeout ?? "60s"),
    lane: toLane(name, options),
    keyOf: (input) => options.key?.(input),
    run: options.run,
  };
}

function toLane<S extends Schema>(
  name: string,
  { lane = {}, priority }: JobOptions<S>,
): Omit<JobLane, "key"> {
  const { concurrency = null, rate, ordered = false } = lane;
  if (concurrency !== null && !isCount(concurrency)) {
    throw new RangeError(`Job ${name}: a lane's concurrency is a whole number of 1 or more`);
  }
  if (rate !== undefined && (!isCount(rate.limit) || durationMs(rate.per) === 0)) {
    throw new RangeError(`Job ${name}: a rate is a whole number of 1 or more per span of time`);
  }
  if (ordered && (priority !== undefined || (concurrency ?? 1) !== 1)) {
    throw new RangeError(
      `Job ${name}: an ordered lane runs one job at a time by insertion; leave out priority and concurrency`,
    );
  }
  // Rounded up: a span never holds one start more than it may.
  const spacingUs = rate === undefined ? 0 : Math.ceil((durationMs(rate.per) * 1_000) / rate.limit);
  return { concurrency, spacingUs, ordered };
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value < 2 ** 31;
}

/** Options of one enqueued job. */
export interface EnqueueOptions {
  /** Wait before the first attempt. Default none. */
  readonly delay?: Duration;
  /** Lower runs first; a whole number of 32 bits. Default: the job type's. */
  readonly priority?: number;
  /** While a job of this type with this key waits or runs, no second one is enqueued. 1-255 characters. */
  readonly dedupeKey?: string;
  /** In place of the job type's key. 1-255 characters. */
  readonly key?: string;
  /** Time from now until which an attempt may begin; then the job is dead with `deadline_exceeded`, and a running attempt is aborted. Default none. */
  readonly deadline?: Duration;
}

/** What an event consumer is given. */
export interface ConsumerContext {
  readonly event: LogEvent;
  /** Effects commit together with the cursor: each event has its effects once. */
  readonly tx: Transaction;
}

/** What a consumer is given that has missed events. */
export interface MissedEvents {
  /** The last event that it has seen. */
  readonly after: number;
  /** The last one that was deleted; the next that it sees comes after it. */
  readonly until: number;
  /** Effects commit together with the cursor. */
  readonly tx: Transaction;
}

/** A named reader of the log with a durable cursor. */
export interface ConsumerDefinition {
  readonly name: string;
  /** Event types it wants, each a name or a prefix such as `project.*`. */
  readonly events: readonly string[];
  /** Runs in the transaction that moves the cursor: enqueue a job for whatever is slow or external. */
  handle(context: ConsumerContext): Promise<void>;
  /**
   * Runs when events were deleted by the log's retention before this consumer has seen them, in the transaction
   * that moves its cursor behind them: what was derived from them has to be made anew. Default: the consumer
   * stands still, and says so in the log, until it has one.
   */
  missed?(gap: MissedEvents): Promise<void>;
}

/** Declares a consumer. It starts at the beginning of what is kept of the log and sees every event once, in order. */
export function defineConsumer(
  name: string,
  options: Omit<ConsumerDefinition, "name">,
): ConsumerDefinition {
  return { name, ...options };
}
