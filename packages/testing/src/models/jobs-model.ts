import { isDeepStrictEqual } from "node:util";
import type {
  ClaimedJob,
  JobRecord,
  JobSettlement,
  JobState,
  NewJob,
} from "apiforge/internal/store";

/** A job as the model knows it. */
export interface ModelJob {
  readonly id: string;
  readonly queue: string;
  readonly type: string;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly dedupeKey: string | null;
  readonly createdAt: number;
  state: JobState;
  runAt: number;
  attempt: number;
  finishedAt: number | null;
  lastError: string | null;
  owner: string | undefined;
  /** Processes that died while they held it. */
  deaths: number;
  /** Counts the claims: a lease is of one of them. */
  claims: number;
}

/** A lease that was given once, and the claim that gave it. */
export interface ModelLease {
  readonly job: ModelJob;
  readonly claim: number;
  readonly n: number;
  readonly fence: number;
}

/** Process deaths that a job survives, and one. */
const maxDeaths = 5;

/** What is kept of a job whose process died; only that it says so is compared. */
const died = "The process died";

/**
 * The states of jobs as one reads them in the contract: nothing concurrent, nothing stored, no
 * indexes. Jobs are in the order of their insertion.
 */
export class JobsModel {
  now: number;
  jobs: ModelJob[] = [];
  /** Every lease that was ever given, the stale ones included. */
  readonly leases: ModelLease[] = [];
  readonly workers = new Map<string, number>();
  readonly #singleProcess: boolean;

  constructor(now: number, singleProcess: boolean) {
    this.now = now;
    this.#singleProcess = singleProcess;
  }

  enqueue(job: NewJob): void {
    this.jobs.push({
      id: job.id,
      queue: job.queue,
      type: job.type,
      priority: job.priority,
      maxAttempts: job.maxAttempts,
      dedupeKey: job.dedupeKey,
      createdAt: this.now,
      state: job.delayMs > 0 ? "scheduled" : "ready",
      runAt: this.now + job.delayMs,
      attempt: 0,
      finishedAt: null,
      lastError: null,
      owner: undefined,
      deaths: 0,
      claims: 0,
    });
  }

  enqueueUnique(job: NewJob): { id: string; inserted: boolean } {
    const holder = this.#holder(job.type, job.dedupeKey);
    if (holder !== undefined) return { id: holder.id, inserted: false };
    this.enqueue(job);
    return { id: job.id, inserted: true };
  }

  /** The jobs that a claim gives, in order; {@link lease} takes down what it was given for them. */
  claim(queue: string, owner: string, limit: number): readonly ModelJob[] {
    for (const job of this.jobs) {
      if (job.state === "scheduled" && job.runAt <= this.now) job.state = "ready";
    }
    const taken = this.jobs
      .filter((job) => job.queue === queue && job.state === "ready")
      // Sorting is stable, so that insertion decides between equals.
      .toSorted((a, b) => a.priority - b.priority)
      .slice(0, limit);
    for (const job of taken) {
      Object.assign(job, {
        state: "running",
        attempt: job.attempt + 1,
        claims: job.claims + 1,
        owner,
      });
    }
    return taken;
  }

  lease(job: ModelJob, { n, fence }: ClaimedJob): void {
    this.leases.push({ job, claim: job.claims, n, fence });
  }

  isHeld({ job, claim }: ModelLease): boolean {
    return job.state === "running" && job.claims === claim;
  }

  settle(lease: ModelLease, end: JobSettlement): boolean {
    if (!this.isHeld(lease)) return false;
    const { job } = lease;
    job.owner = undefined;
    switch (end.outcome) {
      case "completed":
        Object.assign(job, { state: "completed", finishedAt: this.now });
        break;
      case "retry":
        job.state = end.delayMs > 0 ? "scheduled" : "ready";
        job.runAt = this.now + end.delayMs;
        job.lastError = end.error;
        break;
      case "dead":
        Object.assign(job, { state: "dead", finishedAt: this.now, lastError: end.error });
        break;
      case "cancelled":
        Object.assign(job, { state: "cancelled", finishedAt: this.now });
        break;
      case "snoozed":
        job.state = end.delayMs > 0 ? "scheduled" : "ready";
        job.runAt = this.now + end.delayMs;
        job.attempt -= 1;
        break;
      case "released":
        Object.assign(job, { state: "ready", attempt: job.attempt - 1 });
        break;
    }
    return true;
  }

  register(owner: string): void {
    if (this.#singleProcess) this.workers.clear();
    this.workers.set(owner, this.now);
    if (this.#singleProcess) this.#recoverOrphans();
  }

  heartbeat(owner: string): boolean {
    if (!this.workers.has(owner)) return false;
    this.workers.set(owner, this.now);
    return true;
  }

  unregister(owner: string): void {
    this.workers.delete(owner);
    this.#recover((job) => job.owner === owner);
  }

  recoverExpired(expiryMs: number): number {
    for (const [owner, heartbeatAt] of this.workers) {
      if (heartbeatAt < this.now - expiryMs) this.workers.delete(owner);
    }
    return this.#recoverOrphans();
  }

  /** `duplicate` where the store refuses with `job_duplicate`. */
  retryDead(id: string): boolean | "duplicate" {
    const job = this.jobs.find((one) => one.id === id);
    if (job?.state !== "dead") return false;
    if (this.#holder(job.type, job.dedupeKey) !== undefined) return "duplicate";
    Object.assign(job, { state: "ready", attempt: 0, deaths: 0, finishedAt: null });
    return true;
  }

  sweepEnded(olderThanMs: number): number {
    const before = this.jobs.length;
    this.jobs = this.jobs.filter(({ state, finishedAt }) => {
      return state !== "completed" || Number(finishedAt) >= this.now - olderThanMs;
    });
    return before - this.jobs.length;
  }

  nextDueInMs(): number | undefined {
    const due = this.jobs.filter(({ state }) => state === "scheduled").map(({ runAt }) => runAt);
    return due.length === 0 ? undefined : Math.max(0, Math.min(...due) - this.now);
  }

  /** What is wrong with the store's jobs, newest first; undefined when they are as the model has them. */
  difference(records: readonly JobRecord[]): string | undefined {
    const expected = this.jobs.map(facts);
    const actual = records.toReversed().map(facts);
    if (isDeepStrictEqual(actual, expected)) return undefined;
    return `The store has ${JSON.stringify(actual, null, 1)}\nand should have ${JSON.stringify(expected, null, 1)}`;
  }

  #holder(type: string, dedupeKey: string | null): ModelJob | undefined {
    if (dedupeKey === null) return undefined;
    return this.jobs.find((job) => {
      return job.type === type && job.dedupeKey === dedupeKey && job.finishedAt === null;
    });
  }

  #recoverOrphans(): number {
    return this.#recover(({ owner }) => owner !== undefined && !this.workers.has(owner));
  }

  #recover(isLost: (job: ModelJob) => boolean): number {
    const lost = this.jobs.filter((job) => job.state === "running" && isLost(job));
    for (const job of lost) {
      job.deaths += 1;
      job.attempt -= 1;
      const isLast = job.deaths >= maxDeaths;
      job.state = isLast ? "dead" : "ready";
      job.finishedAt = isLast ? this.now : null;
      job.lastError = died;
      job.owner = undefined;
    }
    return lost.length;
  }
}

/** What of a job is compared. */
function facts(job: ModelJob | JobRecord) {
  const { id, queue, type, state, priority, attempt, maxAttempts, runAt, createdAt } = job;
  const lastError = job.lastError?.startsWith(died) === true ? died : job.lastError;
  const { finishedAt, dedupeKey } = job;
  return {
    ...{ id, queue, type, state, priority, attempt, maxAttempts, runAt, createdAt },
    ...{ finishedAt, dedupeKey, lastError },
  };
}
