import type { JobLease, JobSettlement } from "../contract.ts";
import { dueState, maxDeaths, processDiedError, stateNumber } from "../job-row.ts";
import { command, type Command } from "./command.ts";
import { countingLanes } from "./lanes.ts";
import { rowsStatement, rowsCommand } from "./rows.ts";

const completeText = `update forge_jobs set state = 3, lease_owner = null, finished_at = forge_now()
   where n = $1 and fence = $2 and state = 2 returning queue, lane`;
const holdText = "select n from forge_jobs where n = $1 and fence = $2 and state = 2 for share";
// One statement for all outcomes, so that a batch is stored whole or not at all. A job without a
// state waits again, or is cancelled when that is asked for.
const settle = rowsStatement(
  ["bigint", "bigint", "smallint", "bigint", "integer", "text"],
  (source) =>
    countingLanes(
      `update forge_jobs job
       set state = coalesce(ended.state, case when cancel_at is not null then 5
           when ended.delay_ms > 0 and ordered = 0 then 0 else ${dueState} end),
         run_at = coalesce(forge_now() + ended.delay_ms, job.run_at),
         attempt = job.attempt - ended.uncounted,
         finished_at = case when ended.state is not null or cancel_at is not null
           then forge_now() end,
         last_error = coalesce(ended.error, job.last_error),
         lease_owner = null
       from ${source} as ended (n, fence, state, delay_ms, uncounted, error)
       where job.n = ended.n and job.fence = ended.fence and job.state = 2
       returning job.n, job.fence, job.queue, job.lane, -1 as running,
         case job.state when -1 then 1 else 0 end as waiting,
         case when job.state = -1 and ordered = 1 and ended.delay_ms > 0 then job.run_at end as next_at`,
      "select n, fence from changed",
    ),
);
const isLast = `(cancel_at is not null or deaths + 1 >= ${maxDeaths})`;

/**
 * Makes the jobs of dead processes wait again, or buries them after too many such deaths; answers
 * `recovered`, how many they were. `owners` is a list in parentheses, `before` CTEs with a comma.
 */
export function recoverText(owners: string): string {
  return countingLanes(
    `update forge_jobs set
       state = case when not ${isLast} then ${dueState} when cancel_at is null then 4 else 5 end,
       finished_at = case when ${isLast} then forge_now() end,
       deaths = deaths + 1, attempt = attempt - 1,
       last_error = '${processDiedError}', lease_owner = null
     where state = 2 and lease_owner = any(${owners})
     returning queue, lane, -1 as running, case state when -1 then 1 else 0 end as waiting,
       null::bigint as next_at`,
    "select count(*) as recovered from changed",
  );
}

/** Marks a leased job completed; answers its queue and lane. The transaction counts it out of its lane. */
export function completeJob(lease: JobLease): Command {
  return command(completeText, lease.n, lease.fence);
}

/** Locks a leased job against whoever would give it to another owner; answers one row when it is held. */
export function holdJob(lease: JobLease): Command {
  return command(holdText, lease.n, lease.fence);
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
  state: number | null,
  delayMs: number | null,
  uncounted: number,
  error: string | null,
] {
  const { n, fence } = settlement;
  switch (settlement.outcome) {
    case "completed":
      return [n, fence, stateNumber("completed"), null, 0, null];
    case "dead":
      return [n, fence, stateNumber("dead"), null, 0, settlement.error];
    case "cancelled":
      return [n, fence, stateNumber("cancelled"), null, 0, null];
    case "retry":
      return [n, fence, null, Math.ceil(settlement.delayMs), 0, settlement.error];
    case "snoozed":
      return [n, fence, null, Math.ceil(settlement.delayMs), 1, null];
    case "released":
      return [n, fence, null, null, 1, null];
  }
}
