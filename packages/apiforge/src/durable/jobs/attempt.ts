import { context } from "@opentelemetry/api";

import { ApiForgeError, reach } from "../../kernel/index.ts";
import { backoffDelayMs, retryWaitMs } from "../../resilience/index.ts";
import type { ClaimedJob, JobLease, JobSettlement, StoreTransaction } from "../../store/index.ts";
import type { JobContext, JobDefinition } from "../definitions.ts";
import { durableError } from "../errors.ts";
import { createTransaction, type Transaction } from "../transaction.ts";
import { inAttemptSpan } from "./attempt-span.ts";
import type { HeldJob } from "./held-jobs.ts";
import type { WorkerParts } from "./worker.ts";

/** Longest error text kept with a job. */
const maxErrorChars = 2_000;
/** Wait before a job is looked at again whose type this process does not know: a deployment may be under way. */
const unknownTypeDelayMs = 30_000;

/**
 * One attempt of a job. It is told apart from its neighbours by nothing but its own objects: a
 * signal, for one, is made when the handler asks for it, and time-outs are watched for all attempts
 * together ({@link AttemptLimits}). For a handler that does nothing these were a third of the cost.
 */
export class Attempt {
  readonly job: ClaimedJob;
  readonly #deadlineAt: number | null;
  readonly #parts: WorkerParts;
  readonly #onEnd: (attempt: Attempt, end: JobSettlement | undefined) => void;
  readonly #definition: JobDefinition | undefined;
  readonly #startedAt: number;
  #controller: AbortController | undefined;
  #abortReason: Error | undefined;
  #isCompleted = false;
  #isOver = false;

  /**
   * @param onEnd called once, never before {@link start} has returned, with how the attempt ended;
   * undefined when the job has completed itself together with its effects, or is no longer this
   * process's to settle.
   */
  constructor(
    { job, deadlineAt }: HeldJob,
    parts: WorkerParts,
    onEnd: (attempt: Attempt, end: JobSettlement | undefined) => void,
  ) {
    this.job = job;
    this.#deadlineAt = deadlineAt;
    this.#parts = parts;
    this.#onEnd = onEnd;
    this.#definition = parts.definitions.get(job.type);
    this.#startedAt = parts.clock.now();
  }

  /** When the attempt runs out of time. */
  get dueAt(): number {
    const timeoutAt = this.#startedAt + (this.#definition?.timeoutMs ?? Infinity);
    return Math.min(timeoutAt, this.#deadlineAt ?? Infinity);
  }

  get isAborted(): boolean {
    return this.#abortReason !== undefined;
  }

  start(): void {
    const definition = this.#definition;
    if (definition === undefined) {
      queueMicrotask(() => this.#end(unknownType(this.job)));
      return;
    }
    try {
      const running = this.#run(definition);
      // The handler has begun and waits for something.
      reach("mid-handler");
      running.then(
        () => this.#returned(definition),
        (error: unknown) => this.#threw(definition, error),
      );
    } catch (error) {
      queueMicrotask(() => this.#threw(definition, error));
    }
  }

  /** Ends the attempt, once; a handler that ignores the signal is not waited for. */
  abort(reason: Error): void {
    if (this.#abortReason !== undefined) return;
    this.#abortReason = reason;
    this.#controller?.abort(reason);
    const definition = this.#definition;
    if (definition !== undefined) queueMicrotask(() => this.#threw(definition, reason));
  }

  /** {@link abort} of an attempt that has run out of time. */
  expire(): void {
    const { timeoutMs = Infinity } = this.#definition ?? {};
    const isDeadline = (this.#deadlineAt ?? Infinity) - this.#startedAt < timeoutMs;
    this.abort(
      isDeadline
        ? durableError("deadline_exceeded", "The job did not end by its deadline.")
        : durableError("job_timeout", `The attempt took longer than ${timeoutMs} ms.`),
    );
  }

  #run(definition: JobDefinition): Promise<void> {
    const { type, payload } = this.job;
    const input = definition.compiled.validate(JSON.parse(payload));
    if (!input.ok) {
      const issues = input.issues
        .map((issue) => `${issue.path || "value"}: ${issue.message}`)
        .join("; ");
      throw durableError(
        "job_input_invalid",
        `Stored input of ${type} does not satisfy its schema: ${issues}`,
      );
    }
    const handle = (): Promise<void> => definition.run(new AttemptContext(this, input.value));
    const { tracer } = this.#parts;
    return tracer === undefined ? handle() : inAttemptSpan(tracer, this.job, handle);
  }

  /** Made when it is first asked for. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  #returned(definition: JobDefinition): void {
    if (this.#abortReason !== undefined) {
      this.#threw(definition, this.#abortReason);
      return;
    }
    const { id, type, attempt, n, fence } = this.job;
    const elapsedMs = this.#parts.clock.now() - this.#startedAt;
    this.#parts.log.info({ job: id, type, attempt, elapsedMs }, "job completed");
    this.#end(this.#isCompleted ? undefined : { outcome: "completed", n, fence });
  }

  #threw(definition: JobDefinition, thrown: unknown): void {
    if (this.#isOver) return;
    const job = this.job;
    const error = this.#abortReason ?? thrown;
    if (this.#isCompleted) {
      this.#parts.log.warn(
        { job: job.id, type: job.type, error },
        "the handler threw after it had completed its job",
      );
      this.#end(undefined);
    } else if (hasCode(error, "job_lease_lost")) this.#end(undefined);
    else if (hasCode(this.#abortReason, "job_cancelled")) this.#end(cancelled(job, this.#parts));
    else if (hasCode(error, "job_snoozed")) this.#end(snoozed(job, error.retryAfterSeconds ?? 0));
    else this.#end(failed(job, definition, error, this.#parts));
  }

  #end(end: JobSettlement | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onEnd(this, end);
  }

  /** See {@link JobContext.complete}. */
  async complete(effects: (tx: Transaction) => Promise<void>): Promise<void> {
    const { n, fence, type } = this.job;
    if (this.#isCompleted) {
      throw durableError(
        "job_completed_twice",
        `Job ${type} was completed before; call complete() once, as the last step.`,
      );
    }
    // First the fence: a stale process writes nothing at all.
    await this.#transact((store) => store.completeJob({ n, fence }), effects);
    this.#isCompleted = true;
    this.#parts.onCommit();
  }

  /** See {@link JobContext.commit}. */
  async commit<T>(effects: (tx: Transaction) => Promise<T>): Promise<T> {
    const { n, fence } = this.job;
    const value = await this.#transact((store) => store.holdJob({ n, fence }), effects);
    this.#parts.onCommit();
    return value;
  }

  async #transact<T>(
    fence: (store: StoreTransaction) => Promise<boolean>,
    effects: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    // Several units may share a transaction: the effects are given back their own context.
    const bound = context.bind(context.active(), effects);
    const { job } = this;
    const { value } = await this.#parts.store.transact(`job ${job.type}`, async (store) => {
      if (!(await fence(store))) {
        throw durableError(
          "job_lease_lost",
          `Job ${job.id} was taken over by another process; this attempt has no effect.`,
        );
      }
      return bound(createTransaction(store, job, this.#parts.clock.now()));
    });
    return value;
  }
}

/** A class, because an object literal with a getter cost 0.5 us. */
class AttemptContext implements JobContext<unknown> {
  // A property of the object itself, so that `{ input, ...context }` keeps it.
  static readonly #signal: PropertyDescriptor & ThisType<AttemptContext> = {
    enumerable: true,
    get() {
      return this.#attempt.signal;
    },
  };

  readonly id: string;
  readonly input: unknown;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly tenant: string;
  readonly requestId: string;
  readonly idempotencyKey: string;
  readonly complete: JobContext<unknown>["complete"];
  readonly commit: JobContext<unknown>["commit"];
  declare readonly signal: AbortSignal;
  readonly #attempt: Attempt;

  constructor(attempt: Attempt, input: unknown) {
    const { job } = attempt;
    this.id = job.id;
    this.input = input;
    this.attempt = job.attempt;
    this.maxAttempts = job.maxAttempts;
    this.tenant = job.tenant;
    this.requestId = job.requestId;
    this.idempotencyKey = job.id;
    this.complete = (effects) => attempt.complete(effects);
    this.commit = (effects) => attempt.commit(effects);
    this.#attempt = attempt;
    Object.defineProperty(this, "signal", AttemptContext.#signal);
  }
}

function hasCode(error: unknown, code: string): error is ApiForgeError {
  return ApiForgeError.is(error) && error.code === code;
}

function cancelled({ id, type, n, fence }: ClaimedJob, { log }: WorkerParts): JobSettlement {
  log.info({ job: id, type }, "job cancelled");
  return { outcome: "cancelled", n, fence };
}

function snoozed({ n, fence }: ClaimedJob, seconds: number): JobSettlement {
  return { outcome: "snoozed", delayMs: Math.round(seconds * 1_000), n, fence };
}

function failed(
  job: ClaimedJob,
  definition: JobDefinition,
  error: unknown,
  parts: WorkerParts,
): JobSettlement {
  const lease: JobLease = { n: job.n, fence: job.fence };
  const text = errorText(error);
  const final = job.attempt >= job.maxAttempts || !mayRetry(error);
  const fields = {
    job: job.id,
    type: job.type,
    attempt: job.attempt,
    maxAttempts: job.maxAttempts,
    error: text,
  };
  if (final) {
    parts.log.error(fields, "job failed for good");
    return { outcome: "dead", error: text, ...lease };
  }
  const backoffMs = backoffDelayMs(definition.backoff, job.attempt, parts.random);
  const delayMs = retryWaitMs(
    backoffMs,
    ApiForgeError.is(error) ? error.retryAfterSeconds : undefined,
  );
  parts.log.warn({ ...fields, delayMs }, "job attempt failed; it will be retried");
  return { outcome: "retry", delayMs, error: text, ...lease };
}

function unknownType(job: ClaimedJob): JobSettlement {
  const error = `No job type ${job.type} is declared in this process.`;
  const lease: JobLease = { n: job.n, fence: job.fence };
  if (job.attempt >= job.maxAttempts) return { outcome: "dead", error, ...lease };
  return { outcome: "retry", delayMs: unknownTypeDelayMs, error, ...lease };
}

// Errors that are not ours say nothing about whether trying again can help; assume it can.
function mayRetry(error: unknown): boolean {
  return ApiForgeError.is(error) ? error.retryable : true;
}

function errorText(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.slice(0, maxErrorChars);
}
