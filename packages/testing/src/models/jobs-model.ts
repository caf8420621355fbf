import { isDeepStrictEqual } from "node:util";
import type {
  ClaimedJob,
  JobRecord,
  JobSettlement,
  JobState,
  NewJob,
} from "apiforge/internal/store";
import { ClaimCheck, type ClaimWish } from "./claim-check.ts";
import { LanesModel } from "./lanes-model.ts";

/** A job as the model knows it. */
export interface ModelJob {
  readonly id: string;
  readonly queue: string;
  readonly type: string;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly dedupeKey: string | null;
  readonly key: string | null;
  readonly ordered: boolean;
  readonly createdAt: number;
  deadlineAt: number | null;
  cancelAsked: boolean;
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

/** What is kept of a job whose deadline came first; only that it says so is compared. */
const expired = "deadline_exceeded";

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
  readonly lanes = new LanesModel();
  readonly #singleProcess: boolean;

  constructor(now: number, singleProcess: boolean) {
    this.now = now;
    this.#singleProcess = singleProcess;
  }

  enqueue(job: NewJob): void {
    if (job.lane !== null) this.lanes.enter(job.queue, job.lane);
    this.jobs.push({
      id: job.id,
      queue: job.queue,
      type: job.type,
      priority: job.priority,
      maxAttempts: job.maxAttempts,
      dedupeKey: job.dedupeKey,
      key: job.lane?.key ?? null,
      ordered: job.lane?.ordered ?? false,
      createdAt: this.now,
      deadlineAt: job.deadlineMs === null ? null : this.now + job.deadlineMs,
      cancelAsked: false,
      state: job.delayMs > 0 ? "scheduled" : dueState(job.lane?.key ?? null),
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

  /**
   * Leases to `owner` what a store has handed out; answers what was wrong with that. Order between
   * lanes is the store's; that no more is left than has to be is not.
   */
  claim(wish: ClaimWish, handedOut: readonly ClaimedJob[]): string | undefined {
    this.#promote();
    this.lanes.wake(this.now);
    this.#expire();
    return new ClaimCheck(this, wish).run(handedOut);
  }

  /** Takes down that `job` was leased. */
  lease(job: ModelJob, owner: string, { n, fence }: ClaimedJob): void {
    Object.assign(job, { state: "running", attempt: job.attempt + 1, owner });
    job.claims += 1;
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
      case "cancelled":
        Object.assign(job, { state: end.outcome, finishedAt: this.now });
        break;
      case "dead":
        Object.assign(job, { state: "dead", finishedAt: this.now, lastError: end.error });
        break;
      case "retry":
        job.lastError = end.error;
        this.#wait(job, end.delayMs);
        break;
      case "snoozed":
        job.attempt -= 1;
        this.#wait(job, end.delayMs);
        break;
      case "released":
        job.attempt -= 1;
        this.#wait(job);
        break;
    }
    return true;
  }

  cancel(id: string): JobState | undefined {
    const job = this.jobs.find((one) => one.id === id);
    if (job === undefined) return undefined;
    if (job.state === "running") job.cancelAsked = true;
    else if (isLive(job)) Object.assign(job, { state: "cancelled", finishedAt: this.now });
    return job.state;
  }

  cancelRequests(owner: string): readonly string[] {
    const asked = this.jobs.filter((job) => job.owner === owner && job.cancelAsked);
    return asked.map(({ id }) => id).toSorted();
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
    Object.assign(job, { state: dueState(job.key), attempt: 0, deaths: 0, finishedAt: null });
    Object.assign(job, { deadlineAt: null, cancelAsked: false });
    return true;
  }

  sweepEnded(olderThanMs: number): number {
    const before = this.jobs.length;
    this.jobs = this.jobs.filter(({ state, finishedAt }) => {
      const isSwept = state === "completed" || state === "cancelled";
      return !isSwept || Number(finishedAt) >= this.now - olderThanMs;
    });
    return before - this.jobs.length;
  }

  nextDueInMs(): number | undefined {
    const scheduled = this.jobs.filter(({ state }) => state === "scheduled");
    const due = [...scheduled.map(({ runAt }) => runAt), ...this.lanes.wakeTimes()];
    return due.length === 0 ? undefined : Math.max(0, Math.min(...due) - this.now);
  }

  /** What is wrong with the store's jobs, newest first; undefined when they are as the model has them. */
  difference(records: readonly JobRecord[]): string | undefined {
    const expected = this.jobs.map(facts);
    const actual = records.toReversed().map(facts);
    if (isDeepStrictEqual(actual, expected)) return undefined;
    return `The store has ${JSON.stringify(actual, null, 1)}\nand should have ${JSON.stringify(expected, null, 1)}`;
  }

  #promote(): void {
    for (const job of this.jobs) {
      if (job.state === "scheduled" && job.runAt <= this.now) job.state = dueState(job.key);
    }
  }

  #expire(): void {
    for (const job of this.jobs) {
      if (!isLive(job) || job.state === "running") continue;
      if (job.deadlineAt === null || job.deadlineAt > this.now) continue;
      Object.assign(job, { state: "dead", finishedAt: this.now, lastError: expired });
    }
  }

  /** Makes a job that ran wait again, unless it is asked to be cancelled. */
  #wait(job: ModelJob, delayMs?: number): void {
    if (delayMs !== undefined) job.runAt = this.now + delayMs;
    if (job.cancelAsked) {
      Object.assign(job, { state: "cancelled", finishedAt: this.now });
      return;
    }
    const isDelayed = delayMs !== undefined && delayMs > 0;
    job.state = isDelayed && !job.ordered ? "scheduled" : dueState(job.key);
    if (isDelayed && job.ordered) this.lanes.rest(job.queue, job.key, job.runAt, this.now);
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
      job.lastError = died;
      job.owner = undefined;
      if (job.deaths < maxDeaths || job.cancelAsked) this.#wait(job);
      else Object.assign(job, { state: "dead", finishedAt: this.now });
    }
    return lost.length;
  }
}

function dueState(key: string | null): JobState {
  return key === null ? "ready" : "waiting";
}

function isLive({ finishedAt }: ModelJob): boolean {
  return finishedAt === null;
}

/** What of a job is compared. */
function facts(job: ModelJob | JobRecord) {
  const { id, queue, type, state, priority, attempt, maxAttempts, runAt, createdAt } = job;
  const known = [died, expired].find((text) => job.lastError?.startsWith(text));
  const lastError = known ?? job.lastError;
  const { finishedAt, dedupeKey, key, deadlineAt } = job;
  return {
    ...{ id, queue, type, state, priority, attempt, maxAttempts, runAt, createdAt },
    ...{ finishedAt, dedupeKey, key, deadlineAt, lastError },
  };
}
