import type { Tracer } from "@opentelemetry/api";

import { reach, type Clock, type Log, type Timer } from "../../kernel/index.ts";
import {
  deadlineExceededError,
  type ClaimedJob,
  type JobSettlement,
  type Store,
} from "../../store/index.ts";
import type { JobDefinition } from "../definitions.ts";
import { durableError } from "../errors.ts";
import { Attempt } from "./attempt.ts";
import { AttemptLimits } from "./attempt-limits.ts";
import { HeldJobs, type HeldJob } from "./held-jobs.ts";
import type { AttemptCounts } from "./attempt-counts.ts";
import type { Slots } from "./slots.ts";
import { SettlementBuffer, type JobEnd } from "./settlement-buffer.ts";

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
  /** Shared by the queues of this process. */
  readonly slots: Slots;
  /** Called when an attempt has ended, so that other queues may use its slot. */
  readonly onSlotFree: () => void;
  readonly random: () => number;
  readonly attempts: AttemptCounts;
  /** Undefined where no OpenTelemetry SDK is registered. */
  readonly tracer: Tracer | undefined;
}

/** Time that aborted attempts are given to end before their results are no longer waited for. */
const abortGraceMs = 500;
/** Most jobs that are claimed before there is a slot for them. */
const maxAhead = 500;
/** How late a job of a rate may begin; later it would crowd the starts after it. */
const lateStartMs = 100;
/** The part of the concurrency for which keyed jobs are claimed though all slots are taken. */
const keyedAhead = 1 / 4;

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
  readonly #running = new Set<Attempt>();
  readonly #limits: AttemptLimits;
  readonly #held: HeldJobs;
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
    const { clock } = parts;
    this.#settlements = new SettlementBuffer(parts.store.jobs, clock, parts.log, (end, isHeld) =>
      this.#stored(end, isHeld),
    );
    this.#limits = new AttemptLimits(clock, this.#running);
    this.#held = new HeldJobs(clock, () => this.resume());
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

  /** Begins what waits for a slot; cheap to call often. */
  resume(): void {
    this.#launchHeld();
  }

  /** Ends a job of this process that is asked to be cancelled, begun or not. */
  cancel(id: string): void {
    for (const job of this.#held.remove((held) => held.id === id)) {
      const settlement = { outcome: "cancelled", n: job.n, fence: job.fence } as const;
      this.#settlements.add({ job, settlement });
    }
    for (const attempt of this.#running) {
      if (attempt.job.id === id) attempt.abort(cancelled(attempt.job));
    }
  }

  /** Gives back what has not begun of a queue, or of one key of it. */
  giveBack(queue: string, key: string | null): void {
    if (queue !== this.#queue) return;
    for (const job of this.#held.remove((held) => key === null || held.key === key)) {
      this.#settlements.add({ job, settlement: released(job) });
    }
  }

  /** Aborts every running attempt and forgets what waits: the leases are gone. */
  abortAll(reason: Error): void {
    this.#held.remove(() => true);
    for (const attempt of this.#running) attempt.abort(reason);
  }

  /**
   * Claims nothing more and waits for the running attempts; what still runs after `deadlineMs` is
   * aborted. Whatever has not ended goes back to the queue without counting the attempt.
   */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#loop;
    this.giveBack(this.#queue, null);
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
    const { store, owner, slots } = this.#parts;
    const { pollMs, concurrency } = this.#options;
    const free = slots.free(this.#queue);
    const room = free + this.#ahead - this.#held.size;
    if (room <= 0) {
      this.#isBehind = true;
      return pollMs;
    }
    // Lanes are decided when there is a slot: what is claimed ahead no longer gives way to others.
    const keyed = Math.max(free, Math.ceil(concurrency * keyedAhead)) - this.#held.keyed;
    const jobs = await store.jobs.claim(this.#queue, owner, room, Math.max(0, keyed));
    if (jobs.length > 0) reach("after-claim");
    const isBacklog = jobs.length === room;
    this.#isBehind = isBacklog;
    this.#ahead = isBacklog ? Math.min(maxAhead, Math.max(concurrency, this.#ahead * 2)) : 0;
    this.#held.add(jobs);
    this.#launchHeld();
    if (isBacklog) return pollMs;
    const dueInMs = await store.jobs.nextDueInMs();
    return dueInMs === undefined ? pollMs : Math.min(pollMs, dueInMs);
  }

  #launchHeld(): void {
    if (this.#stopped) return;
    while (this.#parts.slots.free(this.#queue) > 0) {
      const held = this.#held.next();
      if (held === undefined) break;
      const missed = this.#missed(held);
      if (missed === undefined) this.#launch(held);
      else this.#settlements.add({ job: held.job, settlement: missed });
    }
    // Claiming one job for every slot that gets free would be a commit per job.
    if (this.#isBehind && this.#held.size <= this.#ahead / 2) this.wake();
  }

  /** How a job ends that has waited too long for its slot. */
  #missed({ job, startAt, deadlineAt }: HeldJob): JobSettlement | undefined {
    if (startAt === null && deadlineAt === null) return undefined;
    const now = this.#parts.clock.now();
    if (deadlineAt !== null && deadlineAt <= now) {
      const { n, fence } = job;
      return { outcome: "dead", error: deadlineExceededError, n, fence };
    }
    return startAt !== null && startAt + lateStartMs < now ? released(job) : undefined;
  }

  #launch(held: HeldJob): void {
    const attempt = new Attempt(held, this.#parts, this.#onEnd);
    this.#running.add(attempt);
    this.#parts.slots.take(this.#queue);
    this.#limits.watch(attempt);
    attempt.start();
  }

  readonly #onEnd = (attempt: Attempt, end: JobSettlement | undefined): void => {
    this.#parts.attempts.add(attempt.job.type, end);
    if (end !== undefined) this.#settle(attempt, end);
    this.#running.delete(attempt);
    this.#parts.slots.give(this.#queue);
    if (this.#running.size === 0) this.#idle?.();
    this.#launchHeld();
    if (this.#running.size === 0) this.#limits.rest();
    this.#parts.onSlotFree();
  };

  #settle(attempt: Attempt, end: JobSettlement): void {
    const { job, isAborted } = attempt;
    const isOver = end.outcome === "completed" || end.outcome === "cancelled";
    const isInterrupted = this.#stopped && isAborted && !isOver;
    reach("before-ack");
    this.#settlements.add({ job, settlement: isInterrupted ? released(job) : end });
  }

  #stored({ job, settlement }: JobEnd, isHeld: boolean): void {
    // The next look at the store learns when the job is due again, and what waited for its end.
    const isAwaited = job.key !== null || job.deaths > 0;
    if (isAwaited || settlement.outcome !== "completed") this.wake();
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

function cancelled({ id }: ClaimedJob): Error {
  return durableError("job_cancelled", `Job ${id} was cancelled.`);
}
