import { randomInt } from "node:crypto";

import type { Clock } from "../../kernel/index.ts";
import type {
  ClaimedJob,
  JobLease,
  JobRecord,
  JobSettlement,
  JobState,
  JobStore,
  NewJob,
} from "../contract.ts";
import {
  claimedColumns,
  processDiedError,
  stateNumber,
  toClaimedJobs,
  toJobRecord,
} from "../job-row.ts";
import { command, type Command } from "./connection.ts";
import type { ConnectionPool } from "./pool.ts";
import { rowsCommand, rowsStatement } from "./rows.ts";

const promoteLimit = 1_000;
/** How long the leases of a claim whose answer was lost are looked for: it may be committed late. */
const lostClaimMs = 60_000;
const fenceLimit = 2 ** 48 - 1;

const columns = `id, queue, type, tenant, payload, priority, max_attempts, dedupe_key, request_id`;
const columnTypes = [
  ...["text", "text", "text", "text", "text", "integer", "integer", "text", "text"],
  "bigint",
];
const insert = rowsStatement(
  columnTypes,
  (source) => `insert into forge_jobs (${columns}, state, run_at, created_at)
   select ${columns}, case when delay_ms > 0 then 0 else 1 end, forge_now() + delay_ms, forge_now()
   from ${source} as job (${columns}, delay_ms)`,
);
const insertUniqueText = `${insert.one}
   on conflict (type, dedupe_key) where dedupe_key is not null and state < 3 do nothing`;
const holderText = "select id from forge_jobs where type = $1 and dedupe_key = $2 and state < 3";
// A volatile function in a condition is asked for every row; in a subquery once, and the index is used.
const now = "(select forge_now())";
/** Makes due jobs ready. */
export const promoteText = `update forge_jobs set state = 1 where n = any(array(
     select n from forge_jobs where state = 0 and run_at <= ${now}
     order by run_at limit ${promoteLimit} for update skip locked))`;
/**
 * Leases ready jobs: `$1` owner, `$2` queue, `$3` limit, `$4` fence. An array in place of a join: the
 * planner then reads the picked rows by their key, and picks once.
 */
export const claimText = `update forge_jobs
   set state = 2, attempt = attempt + 1, fence = $4, lease_owner = $1
   where n = any(array(
     select n from forge_jobs where queue = $2 and state = 1
     order by priority, n limit $3 for update skip locked))
   returning ${claimedColumns}`;
const releaseLostText = `update forge_jobs set state = 1, lease_owner = null, attempt = attempt - 1
   where state = 2 and lease_owner = $1 and fence = any($2::bigint[])`;
const completeText = `update forge_jobs set state = 3, lease_owner = null, finished_at = forge_now()
   where n = $1 and fence = $2 and state = 2`;
/** Ends attempts; one statement for all outcomes, so that a batch is stored whole or not at all. */
export const settle = rowsStatement(
  ["bigint", "bigint", "smallint", "bigint", "integer", "text"],
  (source) => `update forge_jobs job
   set state = ended.state,
     run_at = coalesce(forge_now() + ended.delay_ms, job.run_at),
     attempt = job.attempt - ended.uncounted,
     finished_at = case when ended.state >= 3 then forge_now() end,
     last_error = coalesce(ended.error, job.last_error),
     lease_owner = null
   from ${source} as ended (n, fence, state, delay_ms, uncounted, error)
   where job.n = ended.n and job.fence = ended.fence and job.state = 2
   returning job.n, job.fence`,
);
const nextDueText = `select run_at - forge_now() as due_in_ms from forge_jobs where state = 0
   order by run_at limit 1`;
const findText = "select * from forge_jobs where id = $1";
const listText = `select * from forge_jobs
   where ($1::smallint is null or state = $1) and ($2::text is null or type = $2)
   order by n desc limit $3`;
const retryDeadText =
  "update forge_jobs set state = 1, attempt = 0, finished_at = null where id = $1 and state = 4";
const sweepText = `delete from forge_jobs where n = any(array(
     select n from forge_jobs where state = 3 and finished_at < ${now} - $1::bigint
     order by finished_at limit $2 for update skip locked))`;

/** An UPDATE's assignments that make a dead process's job ready again, or dead after the last attempt. */
export const recoverAssignments = `
     state = case when attempt < max_attempts then 1 else 4 end,
     finished_at = case when attempt < max_attempts then null else forge_now() end,
     last_error = '${processDiedError}', lease_owner = null`;

/** Inserts jobs without dedupe keys. */
export function insertJobs(jobs: readonly NewJob[]): Command {
  return rowsCommand(insert, jobs.map(toRow));
}

/** Inserts a job unless a live one holds its dedupe key. */
export function insertUniqueJob(job: NewJob): Command {
  return command(insertUniqueText, ...toRow(job));
}

/** Reads the id of the live job that holds a dedupe key. */
export function findHolder(job: NewJob): Command {
  return command(holderText, job.type, job.dedupeKey);
}

/** Marks a leased job completed. */
export function completeJob(lease: JobLease): Command {
  return command(completeText, lease.n, lease.fence);
}

/** A claim that may be committed though its answer never came. */
interface LostClaim {
  readonly owner: string;
  readonly fence: number;
  readonly lostAt: number;
}

/** Jobs outside the transactions of handlers. */
export class JobTable implements JobStore {
  readonly #pool: ConnectionPool;
  readonly #clock: Clock;
  #lostClaims: readonly LostClaim[] = [];

  constructor(pool: ConnectionPool, clock: Clock) {
    this.#pool = pool;
    this.#clock = clock;
  }

  async claim(queue: string, owner: string, limit: number): Promise<readonly ClaimedJob[]> {
    // Chosen here, not counted up there: the leases can be named even when the answer is lost.
    const fence = randomInt(1, fenceLimit);
    const commands = [
      ...this.#releaseLost(owner),
      command(promoteText),
      command(claimText, owner, queue, limit, fence),
    ];
    try {
      const results = await this.#pool.run("claim jobs", commands);
      return toClaimedJobs(results.at(-1)?.rows ?? []);
    } catch (error) {
      this.#lostClaims = [...this.#lostClaims, { owner, fence, lostAt: this.#clock.now() }];
      throw error;
    }
  }

  async settle(settlements: readonly JobSettlement[]): Promise<readonly boolean[]> {
    if (settlements.length === 0) return [];
    const ends = settlements.map(toEnd);
    const [result] = await this.#pool.run("settle jobs", [rowsCommand(settle, ends)]);
    const held = new Set(result?.rows.map((row) => `${String(row["n"])}/${String(row["fence"])}`));
    return settlements.map(({ n, fence }) => held.delete(`${n}/${fence}`));
  }

  async nextDueInMs(): Promise<number | undefined> {
    const [result] = await this.#pool.run("next due job", [command(nextDueText)]);
    const row = result?.rows[0];
    return row === undefined ? undefined : Math.max(0, Number(row["due_in_ms"]));
  }

  async find(id: string): Promise<JobRecord | undefined> {
    const [result] = await this.#pool.run("find job", [command(findText, id)]);
    const row = result?.rows[0];
    return row === undefined ? undefined : toJobRecord(row);
  }

  async list(filter: {
    state?: JobState;
    type?: string;
    limit: number;
  }): Promise<readonly JobRecord[]> {
    const state = filter.state === undefined ? null : stateNumber(filter.state);
    const [result] = await this.#pool.run("list jobs", [
      command(listText, state, filter.type ?? null, filter.limit),
    ]);
    return result?.rows.map(toJobRecord) ?? [];
  }

  async retryDead(id: string): Promise<boolean> {
    const [result] = await this.#pool.run("retry dead job", [command(retryDeadText, id)]);
    return result?.changes === 1;
  }

  async sweepCompleted(olderThanMs: number, limit: number): Promise<number> {
    const [swept] = await this.#pool.run("sweep jobs", [command(sweepText, olderThanMs, limit)]);
    return swept?.changes ?? 0;
  }

  /** Gives back what lost claims leased: nobody runs it, and its owner lives. */
  #releaseLost(owner: string): readonly Command[] {
    const oldest = this.#clock.now() - lostClaimMs;
    this.#lostClaims = this.#lostClaims.filter((claim) => claim.lostAt >= oldest);
    const fences = this.#lostClaims
      .filter((claim) => claim.owner === owner)
      .map((claim) => claim.fence);
    return fences.length === 0 ? [] : [command(releaseLostText, owner, fences)];
  }
}

/** A settlement as the row that {@link settle} joins. */
function toEnd(
  settlement: JobSettlement,
): [
  n: number,
  fence: number,
  state: number,
  delayMs: number | null,
  uncounted: number,
  error: string | null,
] {
  const { n, fence } = settlement;
  switch (settlement.outcome) {
    case "completed":
      return [n, fence, stateNumber("completed"), null, 0, null];
    case "retry": {
      const delayMs = Math.ceil(settlement.delayMs);
      const state = stateNumber(delayMs > 0 ? "scheduled" : "ready");
      return [n, fence, state, delayMs, 0, settlement.error];
    }
    case "dead":
      return [n, fence, stateNumber("dead"), null, 0, settlement.error];
    case "released":
      return [n, fence, stateNumber("ready"), null, 1, null];
  }
}

function toRow(job: NewJob): (string | number | null)[] {
  return [
    job.id,
    job.queue,
    job.type,
    job.tenant,
    job.payload,
    job.priority,
    job.maxAttempts,
    job.dedupeKey,
    job.requestId,
    Math.ceil(job.delayMs),
  ];
}
