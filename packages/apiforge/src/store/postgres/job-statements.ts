import type { JobLease, JobSettlement, NewJob } from "../contract.ts";
import { claimedColumns, maxDeaths, processDiedError, stateNumber } from "../job-row.ts";
import { command, type Command } from "./command.ts";
import { rowsCommand, rowsStatement } from "./rows.ts";

const promoteLimit = 1_000;
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
/** The server's time in a condition: the bare function is asked for every row, and no index is used. */
export const now = "(select forge_now())";
const promoteText = `update forge_jobs set state = 1 where n = any(array(
     select n from forge_jobs where state = 0 and run_at <= ${now}
     order by run_at limit ${promoteLimit} for update skip locked))`;
// An array in place of a join: the planner then reads the picked rows by their key, and picks once.
const claimText = `update forge_jobs
   set state = 2, attempt = attempt + 1, fence = $4, lease_owner = $1
   where n = any(array(
     select n from forge_jobs where queue = $2 and state = 1
     order by priority, n limit $3 for update skip locked))
   returning ${claimedColumns}`;
const releaseLostText = `update forge_jobs set state = 1, lease_owner = null, attempt = attempt - 1
   where state = 2 and lease_owner = $1 and fence = any($2::bigint[])`;
const completeText = `update forge_jobs set state = 3, lease_owner = null, finished_at = forge_now()
   where n = $1 and fence = $2 and state = 2`;
const holdText = "select n from forge_jobs where n = $1 and fence = $2 and state = 2 for share";
// One statement for all outcomes, so that a batch is stored whole or not at all.
const settle = rowsStatement(
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
/** An UPDATE's assignments that make a dead process's job ready again, or dead after too many such deaths. */
export const recoverAssignments = `
     state = case when deaths + 1 < ${maxDeaths} then 1 else 4 end,
     finished_at = case when deaths + 1 < ${maxDeaths} then null else forge_now() end,
     deaths = deaths + 1, attempt = attempt - 1,
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

/** Locks a leased job against whoever would give it to another owner; answers one row when it is held. */
export function holdJob(lease: JobLease): Command {
  return command(holdText, lease.n, lease.fence);
}

/** Makes up to 1,000 due jobs of any queue ready. */
export const promoteDue = command(promoteText);

/** Leases ready jobs under `fence`; answers {@link claimedColumns}. */
export function claimReady(queue: string, owner: string, limit: number, fence: number): Command {
  return command(claimText, owner, queue, limit, fence);
}

/** Gives back the jobs that `owner` leased under `fences`, as if they had not been claimed. */
export function releaseClaims(owner: string, fences: readonly number[]): Command {
  return command(releaseLostText, owner, fences);
}

/** Ends attempts; answers `n` and `fence` of those whose lease was held. */
export function settleJobs(settlements: readonly JobSettlement[]): Command {
  return rowsCommand(settle, settlements.map(toEnd));
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
