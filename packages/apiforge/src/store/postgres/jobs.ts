import type { Clock } from "../../kernel/index.ts";
import type { ClaimedJob, JobRecord, JobSettlement, JobState, JobStore } from "../contract.ts";
import { dueState, stateNumber, toJobRecord, toJobState } from "../job-row.ts";
import { ClaimTable } from "./claims.ts";
import { command } from "./command.ts";
import { now } from "./job-statements.ts";
import { countingLanes, sweepLanes } from "./lanes.ts";
import type { ConnectionPool } from "./pool.ts";
import { settleJobs } from "./settlements.ts";

const nextDueText = `select min(due_in_ms) as due_in_ms from (
     (select run_at - ${now} as due_in_ms from forge_jobs where state = 0 order by run_at limit 1)
     union all
     (select (next_at_us + 999) / 1000 - ${now} from forge_lanes where resting = 1
      order by next_at_us limit 1)
   ) due`;
const findText = "select * from forge_jobs where id = $1";
const listText = `select * from forge_jobs
   where ($1::smallint is null or state = $1) and ($2::text is null or type = $2)
   order by n desc limit $3`;
const retryDeadText = countingLanes(
  `update forge_jobs set state = ${dueState}, attempt = 0, deaths = 0, finished_at = null,
     deadline_at = null, cancel_at = null
   where id = $1 and state = 4
   returning queue, lane, 0 as running, 1 as waiting, null::bigint as next_at`,
  "select 1 from changed",
);
// The lane before the job, as a claim does it: an ordered lane hands out nothing while its first job is cancelled.
const lockLaneText = `select 1 from forge_lanes where (queue, key) in (
     select queue, lane from forge_jobs where id = $1 and state = -1) for update`;
const cancelText = countingLanes(
  `update forge_jobs job set
     state = case when before.state < 2 then 5 else before.state end,
     finished_at = case when before.state < 2 then forge_now() end,
     cancel_at = coalesce(job.cancel_at, forge_now())
   from (select n, state from forge_jobs where id = $1 and state <= 2 for update) before
   where job.n = before.n
   returning job.state, queue, lane, 0 as running,
     case before.state when -1 then -1 else 0 end as waiting, null::bigint as next_at`,
  "select state from changed",
);
const cancelRequestsText =
  "select id from forge_jobs where state = 2 and lease_owner = $1 and cancel_at is not null";
const sweepText = `delete from forge_jobs where n = any(array(
     select n from forge_jobs where state in (3, 5) and finished_at < ${now} - $1::bigint
     order by finished_at limit $2 for update skip locked))
   returning queue, lane`;

/** Jobs outside the transactions of handlers. */
export class JobTable implements JobStore {
  readonly #pool: ConnectionPool;
  readonly #claims: ClaimTable;

  constructor(pool: ConnectionPool, clock: Clock) {
    this.#pool = pool;
    this.#claims = new ClaimTable(pool, clock);
  }

  claim(
    queue: string,
    owner: string,
    limit: number,
    keyedLimit = limit,
  ): Promise<readonly ClaimedJob[]> {
    return this.#claims.claim(queue, owner, limit, keyedLimit);
  }

  async settle(settlements: readonly JobSettlement[]): Promise<readonly boolean[]> {
    if (settlements.length === 0) return [];
    const [result] = await this.#pool.run("settle jobs", [settleJobs(settlements)]);
    const held = new Set(result?.rows.map((row) => `${String(row["n"])}/${String(row["fence"])}`));
    return settlements.map(({ n, fence }) => held.delete(`${n}/${fence}`));
  }

  async cancel(id: string): Promise<JobState | undefined> {
    const [, changed, found] = await this.#pool.run("cancel job", [
      command(lockLaneText, id),
      command(cancelText, id),
      command(findText, id),
    ]);
    const row = changed?.rows[0] ?? found?.rows[0];
    return row === undefined ? undefined : toJobState(row);
  }

  async cancelRequests(owner: string): Promise<readonly string[]> {
    const [found] = await this.#pool.run("cancel requests", [command(cancelRequestsText, owner)]);
    return (found?.rows ?? []).map((row) => String(row["id"]));
  }

  async nextDueInMs(): Promise<number | undefined> {
    const [result] = await this.#pool.run("next due job", [command(nextDueText)]);
    const due = result?.rows[0]?.["due_in_ms"];
    return due === null || due === undefined ? undefined : Math.max(0, Number(due));
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
    return result?.rows.length === 1;
  }

  async sweepEnded(olderThanMs: number, limit: number): Promise<number> {
    const [swept] = await this.#pool.run("sweep jobs", [command(sweepText, olderThanMs, limit)]);
    const rows = swept?.rows ?? [];
    const lanes = rows
      .filter((row) => row["lane"] !== null)
      .map((row) => ({ queue: String(row["queue"]), key: String(row["lane"]) }));
    if (lanes.length > 0) await this.#pool.run("sweep lanes", sweepLanes(lanes));
    return rows.length;
  }
}
