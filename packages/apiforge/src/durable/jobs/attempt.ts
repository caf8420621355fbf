import { context } from "@opentelemetry/api";

import { ApiForgeError, reach } from "../../kernel/index.ts";
import { backoffDelayMs, retryWaitMs } from "../../resilience/index.ts";
import type { ClaimedJob, JobLease, JobSettlement, StoreTransaction } from "../../store/index.ts";
import type { JobDefinition } from "../definitions.ts";
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
 * Runs one attempt. Answers how it ended; undefined when the job has completed itself together
 * with its effects, or is no longer this process's to settle.
 */
export async function runAttempt(
  held: HeldJob,
  controller: AbortController,
  parts: WorkerParts,
): Promise<JobSettlement | undefined> {
  const { job } = held;
  const definition = parts.definitions.get(job.type);
  if (definition === undefined) return unknownType(job);
  const attempt = new Attempt(held, controller, parts);
  const startedAt = parts.clock.now();
  try {
    await attempt.run(definition);
    const elapsedMs = parts.clock.now() - startedAt;
    parts.log.info(
      { job: job.id, type: job.type, attempt: job.attempt, elapsedMs },
      "job completed",
    );
    return attempt.completed ? undefined : { outcome: "completed", n: job.n, fence: job.fence };
  } catch (error) {
    if (attempt.completed) {
      parts.log.warn(
        { job: job.id, type: job.type, error },
        "the handler threw after it had completed its job",
      );
      return undefined;
    }
    if (hasCode(error, "job_lease_lost")) return undefined;
    if (hasCode(controller.signal.reason, "job_cancelled")) return cancelled(job, parts);
    if (hasCode(error, "job_snoozed")) return snoozed(job, error.retryAfterSeconds ?? 0);
    return failed(job, definition, error, parts);
  }
}

class Attempt {
  readonly #job: ClaimedJob;
  readonly #deadlineAt: number | null;
  readonly #controller: AbortController;
  readonly #parts: WorkerParts;
  completed = false;

  constructor({ job, deadlineAt }: HeldJob, controller: AbortController, parts: WorkerParts) {
    this.#job = job;
    this.#deadlineAt = deadlineAt;
    this.#controller = controller;
    this.#parts = parts;
  }

  async run(definition: JobDefinition): Promise<void> {
    const job = this.#job;
    const input = definition.compiled.validate(JSON.parse(job.payload));
    if (!input.ok) {
      const issues = input.issues
        .map((issue) => `${issue.path || "value"}: ${issue.message}`)
        .join("; ");
      throw durableError(
        "job_input_invalid",
        `Stored input of ${job.type} does not satisfy its schema: ${issues}`,
      );
    }
    const running = inAttemptSpan(this.#parts.tracer, job, () =>
      this.#handle(definition, input.value),
    );
    // The handler has begun and waits for something.
    reach("mid-handler");
    await this.#withinTimeout(definition.timeoutMs, running);
  }

  #handle(definition: JobDefinition, input: unknown): Promise<void> {
    const job = this.#job;
    return definition.run({
      id: job.id,
      input,
      attempt: job.attempt,
      maxAttempts: job.maxAttempts,
      tenant: job.tenant,
      requestId: job.requestId,
      idempotencyKey: job.id,
      signal: this.#controller.signal,
      complete: (effects) => this.#complete(effects),
      commit: (effects) => this.#commit(effects),
    });
  }

  async #complete(effects: (tx: Transaction) => Promise<void>): Promise<void> {
    const job = this.#job;
    const lease: JobLease = { n: job.n, fence: job.fence };
    if (this.completed) {
      throw durableError(
        "job_completed_twice",
        `Job ${job.type} was completed before; call complete() once, as the last step.`,
      );
    }
    // First the fence: a stale process writes nothing at all.
    await this.#transact((store) => store.completeJob(lease), effects);
    this.completed = true;
    this.#parts.onCommit();
  }

  async #commit<T>(effects: (tx: Transaction) => Promise<T>): Promise<T> {
    const lease: JobLease = { n: this.#job.n, fence: this.#job.fence };
    const value = await this.#transact((store) => store.holdJob(lease), effects);
    this.#parts.onCommit();
    return value;
  }

  async #transact<T>(
    fence: (store: StoreTransaction) => Promise<boolean>,
    effects: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    const job = this.#job;
    // Several units may share a transaction: the effects are given back their own context.
    const bound = context.bind(context.active(), effects);
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

  #withinTimeout(timeoutMs: number, running: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = this.#controller;
      // A handler that ignores the signal is not waited for, and leaves no timer.
      const stop = (): void => {
        timer.cancel();
        reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
      };
      const untilDeadlineMs = (this.#deadlineAt ?? Infinity) - this.#parts.clock.now();
      const timer = this.#parts.clock.after(Math.min(timeoutMs, untilDeadlineMs), () => {
        this.#controller.abort(
          untilDeadlineMs < timeoutMs
            ? durableError("deadline_exceeded", "The job did not end by its deadline.")
            : durableError("job_timeout", `The attempt took longer than ${timeoutMs} ms.`),
        );
      });
      signal.addEventListener("abort", stop, { once: true });
      running.then(resolve, reject).finally(() => {
        timer.cancel();
        signal.removeEventListener("abort", stop);
      });
    });
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
