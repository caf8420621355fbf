import { durationMs, type Duration } from "../kernel/index.ts";
import type { BackoffPolicy } from "../resilience/index.ts";
import { exponential } from "../resilience/index.ts";
import {
  compileSchema,
  type CompiledSchema,
  type Schema,
  type SchemaOutput,
} from "../schema/index.ts";
import type { LogEvent } from "../store/index.ts";
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
  /** Aborted when the attempt runs out of time or the process stops. */
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
    run: options.run,
  };
}

/** Options of one enqueued job. */
export interface EnqueueOptions {
  /** Wait before the first attempt. Default none. */
  readonly delay?: Duration;
  /** Lower runs first; a whole number of 32 bits. Default: the job type's. */
  readonly priority?: number;
  /** While a job of this type with this key waits or runs, no second one is enqueued. 1-255 characters. */
  readonly dedupeKey?: string;
}

/** What an event consumer is given. */
export interface ConsumerContext {
  readonly event: LogEvent;
  /** Effects commit together with the cursor: each event has its effects once. */
  readonly tx: Transaction;
}

/** A named reader of the log with a durable cursor. */
export interface ConsumerDefinition {
  readonly name: string;
  /** Event types it wants, each a name or a prefix such as `project.*`. */
  readonly events: readonly string[];
  /** Runs in the transaction that moves the cursor: enqueue a job for whatever is slow or external. */
  handle(context: ConsumerContext): Promise<void>;
}

/** Declares a consumer. It starts at the beginning of the log and sees every event once, in order. */
export function defineConsumer(
  name: string,
  options: Omit<ConsumerDefinition, "name">,
): ConsumerDefinition {
  return { name, events: options.events, handle: options.handle };
}
