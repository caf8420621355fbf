import { reach, type Clock, type Log, type Timer } from "../../kernel/index.ts";
import type { ClaimedJob, JobSettlement, Store } from "../../store/index.ts";
import type { JobDefinition } from "../definitions.ts";
import { runAttempt } from "./attempt.ts";
import { SettlementBuffer } from "./settlement-buffer.ts";

/** Settings of one queue in this process. */
export interface QueueOptions {
  /** Attempts that run at the same time in this process. */
  readonly concurrency: number;
  /** Longest wait before the store is asked again; commits of this process wake the worker at once. */
  readonly pollMs: number;
}

/** What a worker is made of. */
export interface WorkerParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly owner: string;
  readonly definitions: ReadonlyMap<string, JobDefinition>;
  /** Called after a commit that may have added jobs or events. */
  readonly onCommit: () => void;
  readonly random: () => number;
}

/** Time that aborted attempts are given to end before their results are no longer waited for. */
const abortGraceMs = 500;

/**
 * Runs the jobs of one queue: claims as many as there is room for, runs them side by side and
 * settles them in batches.
 */
export class QueueWorker {
  readonly #queue: string;
  readonly #options: QueueOptions;
  readonly #parts: WorkerParts;
  readonly #settlements: SettlementBuffer;
  readonly #running = new Map<string, AbortController>();
  #timer: Timer | undefined;
  #loop: Promise<void> | undefined;
  #wanted = false;
  #stopped = true;
  #idle: (() => void) | undefined;

  constructor(queue: string, options: QueueOptions, parts: WorkerParts) {
    this.#queue = queue;
    this.#options = options;
    this.#parts = parts;
    this.#settlements = new SettlementBuffer(parts.store.jobs, parts.clock, parts.log);
  }

  start(): void {
    this.#stopped = false;
    this.wake();
  }

  /** Looks for jobs soon; cheap to call often. */
  wake(): void {
    this.#wanted = true;
    if (!this.#stopped) this.#loop ??= this.#claimWhileWanted();
  }

  /** Aborts every running attempt: the leases are gone. */
  abortAll(reason: Error): void {
    for (const controller of this.#running.values()) controller.abort(reason);
  }

  /**
   * Claims nothing more and waits for the running attempts; what still runs after `deadlineMs` is
   * aborted and goes back to the queue without counting the attempt.
   */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#loop;
    await this.#idleWithin(deadlineMs);
    this.abortAll(new Error("The server is stopping"));
    await this.#idleWithin(abortGraceMs);
    await this.#settlements.drain();
  }

  async #claimWhileWanted(): Promise<void> {
    let waitMs = this.#options.pollMs;
    while (this.#wanted && !this.#stopped) {
      this.#wanted = false;
      try {
        waitMs = await this.#claim();
      } catch (error) {
        this.#parts.log.warn(
          { error, queue: this.#queue },
          "jobs could not be claimed; trying again",
        );
        waitMs = this.#options.pollMs;
      }
    }
    this.#loop = undefined;
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.after(waitMs, () => this.wake());
  }

  /** Launches what there is room for; answers how long to wait when nothing wakes the worker before. */
  async #claim(): Promise<number> {
    const { store, owner } = this.#parts;
    const { pollMs, concurrency } = this.#options;
    const room = concurrency - this.#running.size;
    // An attempt that ends wakes the worker.
    if (room <= 0) return pollMs;
    const jobs = await store.jobs.claim(this.#queue, owner, room);
    if (jobs.length > 0) reach("after-claim");
    for (const job of jobs) this.#launch(job);
    if (jobs.length > 0) return pollMs;
    const dueInMs = await store.jobs.nextDueInMs();
    return dueInMs === undefined ? pollMs : Math.min(pollMs, dueInMs);
  }

  #launch(job: ClaimedJob): void {
    const controller = new AbortController();
    this.#running.set(job.id, controller);
    void runAttempt(job, controller, this.#parts)
      .then((settlement) => this.#settle(job, controller, settlement))
      .catch((error: unknown) => this.#parts.log.error({ error, job: job.id }, "job attempt broke"))
      .finally(() => {
        this.#running.delete(job.id);
        if (this.#running.size === 0) this.#idle?.();
        this.wake();
      });
  }

  async #settle(
    job: ClaimedJob,
    controller: AbortController,
    end: JobSettlement | undefined,
  ): Promise<void> {
    if (end === undefined) return;
    const interrupted = this.#stopped && controller.signal.aborted && end.outcome !== "completed";
    const settlement: JobSettlement = interrupted
      ? { outcome: "released", n: job.n, fence: job.fence }
      : end;
    reach("before-ack");
    const held = await this.#settlements.add(settlement);
    if (!held)
      this.#parts.log.warn(
        { job: job.id, type: job.type },
        "the job was taken over; its result is dropped",
      );
  }

  #idleWithin(deadlineMs: number): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#parts.clock.after(deadlineMs, resolve);
      this.#idle = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}
