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
/** Most jobs that are claimed before there is a slot for them. */
const maxAhead = 500;

/**
 * Runs the jobs of one queue: claims a batch, runs as many side by side as the queue's concurrency
 * allows and settles them in batches. A backlog makes it claim ahead, twice as far with every full
 * batch, because a claim is a commit whatever its size; without one nothing is held back from
 * other processes.
 */
export class QueueWorker {
  readonly #queue: string;
  readonly #options: QueueOptions;
  readonly #parts: WorkerParts;
  readonly #settlements: SettlementBuffer;
  readonly #running = new Set<AbortController>();
  /** Claimed jobs that wait for a slot, first first. */
  #claimed: ClaimedJob[] = [];
  #ahead = 0;
  /** True when the last claim had no room for all that may be ready. */
  #isBehind = false;
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

  /** Aborts every running attempt and forgets what waits: the leases are gone. */
  abortAll(reason: Error): void {
    this.#claimed = [];
    for (const controller of this.#running) controller.abort(reason);
  }

  /**
   * Claims nothing more and waits for the running attempts; what still runs after `deadlineMs` is
   * aborted. Whatever has not ended goes back to the queue without counting the attempt.
   */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#loop;
    for (const job of this.#claimed.splice(0)) void this.#settlements.add(released(job));
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
        const fields = { error, queue: this.#queue };
        this.#parts.log.warn(fields, "jobs could not be claimed; trying again");
        waitMs = this.#options.pollMs;
      }
    }
    this.#loop = undefined;
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.after(waitMs, () => this.wake());
  }

  /** Claims what there is room for; answers how long to wait when nothing wakes the worker before. */
  async #claim(): Promise<number> {
    const { store, owner } = this.#parts;
    const { pollMs, concurrency } = this.#options;
    const room = concurrency - this.#running.size + this.#ahead - this.#claimed.length;
    if (room <= 0) {
      this.#isBehind = true;
      return pollMs;
    }
    const jobs = await store.jobs.claim(this.#queue, owner, room);
    if (jobs.length > 0) reach("after-claim");
    const isBacklog = jobs.length === room;
    this.#isBehind = isBacklog;
    this.#ahead = isBacklog ? Math.min(maxAhead, Math.max(concurrency, this.#ahead * 2)) : 0;
    this.#claimed.push(...jobs);
    this.#launchClaimed();
    if (isBacklog) return pollMs;
    const dueInMs = await store.jobs.nextDueInMs();
    return dueInMs === undefined ? pollMs : Math.min(pollMs, dueInMs);
  }

  #launchClaimed(): void {
    if (this.#stopped) return;
    while (this.#running.size < this.#options.concurrency) {
      const job = this.#claimed.shift();
      if (job === undefined) break;
      this.#launch(job);
    }
    // Claiming one job for every slot that gets free would be a commit per job.
    if (this.#isBehind && this.#claimed.length <= this.#ahead / 2) this.wake();
  }

  #launch(job: ClaimedJob): void {
    const controller = new AbortController();
    this.#running.add(controller);
    void runAttempt(job, controller, this.#parts)
      .then((end) => {
        if (end !== undefined) void this.#settle(job, controller, end);
      })
      .catch((error: unknown) => this.#parts.log.error({ error, job: job.id }, "job attempt broke"))
      .finally(() => {
        this.#running.delete(controller);
        if (this.#running.size === 0) this.#idle?.();
        this.#launchClaimed();
      });
  }

  async #settle(job: ClaimedJob, controller: AbortController, end: JobSettlement): Promise<void> {
    const isInterrupted = this.#stopped && controller.signal.aborted && end.outcome !== "completed";
    reach("before-ack");
    const isHeld = await this.#settlements.add(isInterrupted ? released(job) : end);
    // The next look at the store learns when the retry is due.
    if (end.outcome === "retry") this.wake();
    if (isHeld) return;
    const fields = { job: job.id, type: job.type };
    this.#parts.log.warn(fields, "the job was taken over; its result is dropped");
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

function released(job: ClaimedJob): JobSettlement {
  return { outcome: "released", n: job.n, fence: job.fence };
}
