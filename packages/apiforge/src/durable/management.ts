import type { JobRecord, JobState, Pause, Store } from "../store/index.ts";
import type { QueueWorker } from "./jobs/worker.ts";

const listedPauses = 1_000;

/** Looking at jobs and stepping in. */
export interface JobManagement {
  /** Undefined when there is no such job, or it was swept. */
  find(id: string): Promise<JobRecord | undefined>;
  /** Newest first, 1 or more. */
  list(filter: { state?: JobState; type?: string; limit: number }): Promise<readonly JobRecord[]>;
  /**
   * Ends a job: one that waits at once; of one that runs, the attempt's signal aborts with
   * `job_cancelled`, within 3 s on another process. A completion that comes first wins. Answers the
   * state afterwards, `running` while that is under way; undefined when there is no such job.
   */
  cancel(id: string): Promise<JobState | undefined>;
  /**
   * Runs a dead job again with all its attempts, without its deadline; false when it is not dead.
   * @throws {job_duplicate} when another live job holds its dedupe key.
   */
  retry(id: string): Promise<boolean>;
}

/** Holding queues back. What is held back outlives the process; running jobs go on. */
export interface QueueManagement {
  /** Begins no job of the queue any more, or none of one key; other processes finish what they have leased. */
  pause(queue: string, key?: string): Promise<void>;
  /** False when it was not paused. */
  resume(queue: string, key?: string): Promise<boolean>;
  /** Up to 1,000 pauses, queues before keys. */
  paused(): Promise<readonly Pause[]>;
}

/** What management is made of. */
export interface ManagementParts {
  readonly store: Store;
  readonly workers: readonly QueueWorker[];
  /** Called when a job may have become ready. */
  readonly wake: () => void;
}

/** See {@link JobManagement}. */
export function createJobManagement({ store, workers, wake }: ManagementParts): JobManagement {
  const { jobs } = store;
  return {
    find: (id) => jobs.find(id),
    list: (filter) => jobs.list(filter),
    async cancel(id) {
      const state = await jobs.cancel(id);
      if (state === "running") for (const worker of workers) worker.cancel(id);
      return state;
    },
    async retry(id) {
      const isRetried = await jobs.retryDead(id);
      if (isRetried) wake();
      return isRetried;
    },
  };
}

/** See {@link QueueManagement}. */
export function createQueueManagement({ store, workers, wake }: ManagementParts): QueueManagement {
  const { queues } = store;
  return {
    async pause(queue, key) {
      await queues.pause(queue, key ?? null);
      for (const worker of workers) worker.giveBack(queue, key ?? null);
    },
    async resume(queue, key) {
      const isResumed = await queues.resume(queue, key ?? null);
      wake();
      return isResumed;
    },
    paused: () => queues.paused(listedPauses),
  };
}
