import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type {
  ClaimedJob,
  JobLease,
  JobRecord,
  JobSettlement,
  JobState,
  NewJob,
} from "../contract.ts";
import { storeError } from "../errors.ts";
import {
  claimedColumns,
  maxDeaths,
  processDiedError,
  stateNumber,
  toClaimedJobs,
  toJobRecord,
} from "../job-row.ts";
import type { SqliteConnection } from "./connection.ts";

const promoteLimit = 1_000;

/** Jobs, as statements of the one writing connection. Every method runs inside a unit of work. */
export class JobTable {
  readonly #clock: Clock;
  readonly #insert: StatementSync;
  readonly #insertUnique: StatementSync;
  readonly #holder: StatementSync;
  readonly #promote: StatementSync;
  readonly #claim: StatementSync;
  readonly #complete: StatementSync;
  readonly #held: StatementSync;
  readonly #retry: StatementSync;
  readonly #bury: StatementSync;
  readonly #release: StatementSync;
  readonly #nextDue: StatementSync;
  readonly #find: StatementSync;
  readonly #list: StatementSync;
  readonly #retryDead: StatementSync;
  readonly #sweep: StatementSync;
  readonly #recover: StatementSync;
  readonly #recoverOrphans: StatementSync;

  constructor(connection: SqliteConnection, clock: Clock) {
    this.#clock = clock;
    const insert = `insert into forge_jobs
      (id, queue, type, tenant, payload, state, priority, run_at, max_attempts, dedupe_key, request_id, created_at)
      values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
    const held = "where n = ? and fence = ? and state = 2";
    this.#insert = connection.prepare(insert);
    this.#insertUnique = connection.prepare(
      `${insert} on conflict (type, dedupe_key) where dedupe_key is not null and state < 3 do nothing`,
    );
    this.#holder = connection.prepare(
      "select id from forge_jobs where type = ? and dedupe_key = ? and state < 3",
    );
    this.#promote = connection.prepare(
      `update forge_jobs set state = 1 where n in
         (select n from forge_jobs where state = 0 and run_at <= ? order by run_at limit ${promoteLimit})`,
    );
    this.#claim = connection.prepare(
      `update forge_jobs set state = 2, attempt = attempt + 1, fence = fence + 1, lease_owner = ?
       where n in (select n from forge_jobs where queue = ? and state = 1 order by priority, n limit ?)
       returning ${claimedColumns}`,
    );
    this.#complete = connection.prepare(
      `update forge_jobs set state = 3, lease_owner = null, finished_at = ? ${held}`,
    );
    this.#held = connection.prepare(`select 1 from forge_jobs ${held}`);
    this.#retry = connection.prepare(
      `update forge_jobs set state = ?, run_at = ?, lease_owner = null, last_error = ? ${held}`,
    );
    this.#bury = connection.prepare(
      `update forge_jobs set state = 4, lease_owner = null, finished_at = ?, last_error = ? ${held}`,
    );
    this.#release = connection.prepare(
      `update forge_jobs set state = 1, lease_owner = null, attempt = attempt - 1 ${held}`,
    );
    this.#nextDue = connection.prepare("select min(run_at) as due from forge_jobs where state = 0");
    this.#find = connection.prepare("select * from forge_jobs where id = ?");
    this.#list = connection.prepare(
      `select * from forge_jobs where (?1 is null or state = ?1) and (?2 is null or type = ?2)
       order by n desc limit ?3`,
    );
    this.#retryDead = connection.prepare(
      `update or ignore forge_jobs set state = 1, attempt = 0, deaths = 0, finished_at = null where id = ? and state = 4`,
    );
    this.#sweep = connection.prepare(
      `delete from forge_jobs where n in
         (select n from forge_jobs where state = 3 and finished_at < ? order by finished_at limit ?)`,
    );
    const recover = `update forge_jobs set
         state = case when deaths + 1 < ${maxDeaths} then 1 else 4 end,
         finished_at = case when deaths + 1 < ${maxDeaths} then null else ?1 end,
         deaths = deaths + 1, attempt = attempt - 1,
         last_error = '${processDiedError}', lease_owner = null
       where state = 2`;
    this.#recover = connection.prepare(`${recover} and lease_owner = ?2`);
    this.#recoverOrphans = connection.prepare(
      `${recover} and lease_owner not in (select owner from forge_workers)`,
    );
  }

  insert(job: NewJob): void {
    this.#insert.run(...this.#insertValues(job));
  }

  insertUnique(job: NewJob): { id: string; inserted: boolean } {
    if (this.#insertUnique.run(...this.#insertValues(job)).changes === 1)
      return { id: job.id, inserted: true };
    return { id: String(this.#holder.get(job.type, job.dedupeKey)?.["id"]), inserted: false };
  }

  claim(queue: string, owner: string, limit: number): readonly ClaimedJob[] {
    this.#promote.run(this.#clock.now());
    return toClaimedJobs(this.#claim.all(owner, queue, limit));
  }

  complete(lease: JobLease): boolean {
    return this.#complete.run(this.#clock.now(), lease.n, lease.fence).changes === 1;
  }

  holds(lease: JobLease): boolean {
    return this.#held.get(lease.n, lease.fence) !== undefined;
  }

  settle(settlement: JobSettlement): boolean {
    const { n, fence } = settlement;
    switch (settlement.outcome) {
      case "completed":
        return this.complete(settlement);
      case "retry": {
        const state = stateNumber(settlement.delayMs > 0 ? "scheduled" : "ready");
        const runAt = this.#clock.now() + settlement.delayMs;
        return this.#retry.run(state, runAt, settlement.error, n, fence).changes === 1;
      }
      case "dead":
        return this.#bury.run(this.#clock.now(), settlement.error, n, fence).changes === 1;
      case "released":
        return this.#release.run(n, fence).changes === 1;
    }
  }

  nextDueInMs(): number | undefined {
    const due = this.#nextDue.get()?.["due"];
    return due === null || due === undefined
      ? undefined
      : Math.max(0, Number(due) - this.#clock.now());
  }

  find(id: string): JobRecord | undefined {
    const row = this.#find.get(id);
    return row === undefined ? undefined : toJobRecord(row);
  }

  list(filter: { state?: JobState; type?: string; limit: number }): readonly JobRecord[] {
    const state = filter.state === undefined ? null : stateNumber(filter.state);
    return this.#list.all(state, filter.type ?? null, filter.limit).map(toJobRecord);
  }

  retryDead(id: string): boolean {
    if (this.#retryDead.run(id).changes === 1) return true;
    if (this.find(id)?.state !== "dead") return false;
    throw storeError(
      "job_duplicate",
      "Another job with the same dedupe key waits or runs; retry after it has ended.",
    );
  }

  sweepCompleted(olderThanMs: number, limit: number): number {
    return Number(this.#sweep.run(this.#clock.now() - olderThanMs, limit).changes);
  }

  /** Makes the jobs that `owner` holds ready again, or dead after too many such deaths. */
  recover(owner: string): number {
    return Number(this.#recover.run(this.#clock.now(), owner).changes);
  }

  /** {@link recover} for every owner that is not listed as living. */
  recoverOrphans(): number {
    return Number(this.#recoverOrphans.run(this.#clock.now()).changes);
  }

  #insertValues(job: NewJob): (string | number | null)[] {
    const nowMs = this.#clock.now();
    return [
      job.id,
      job.queue,
      job.type,
      job.tenant,
      job.payload,
      stateNumber(job.delayMs > 0 ? "scheduled" : "ready"),
      job.priority,
      nowMs + job.delayMs,
      job.maxAttempts,
      job.dedupeKey,
      job.requestId,
      nowMs,
    ];
  }
}
