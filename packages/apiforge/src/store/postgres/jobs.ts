import type { Clock } from "../../kernel/index.ts";
import type { ClaimedJob, JobRecord, JobSettlement, JobState, JobStore, Row } from "../contract.ts";
import { dueState, stateNumber, toJobRecord, toJobState } from "../job-row.ts";
import { ClaimTable } from "./claims.ts";
import { command, type Command } from "./command.ts";
import { now } from "./job-statements.ts";
import { countingLanes, sweepLanes } from "./lanes.ts";
import { findJob, listJobs } from "./pack-reads.ts";
import {
  completedNames,
  completeRuns,
  dropPacks,
  isPacked,
  sweepEnds,
  unpack,
  unpackById,
  withoutJit,
} from "./packs.ts";
import type { ConnectionPool } from "./pool.ts";
import { settleJobs } from "./settlements.ts";

const nextDueText = `select min(due_in_ms) as due_in_ms from (
     (select run_at - ${now} as due_in_ms from forge_jobs where state = 0 order by run_at limit 1)
     union all
     (select (next_at_us + 999) / 1000 - ${now} from forge_lanes where resting = 1
      order by next_at_us limit 1)
   ) due`;
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
   returning n, queue, lane, pack`;
// A lease that is still there would speak for the job again.
const sweepJobsText = `with swept as (${sweepText}), left_over as (
     insert into forge_pack_ends (n, last_n, pack)
     select n, n, pack from swept where pack is not null and exists (
       select from forge_pack_leases lease where lease.n between swept.pack and swept.pack + 511)
     on conflict do nothing
   )
   select queue, lane, pack from swept`;

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
    const isRun = (end: JobSettlement): boolean => end.outcome === "completed" && isPacked(end);
    const held = new Set<string>();
    const ends = firstOfEach(settlements);
    const runs = completeRuns(ends.filter(isRun));
    const others = ends.filter((end) => !isRun(end));
    await this.#settle([...runs, ...settleEach(others)], held);
    // A job of the others was made a row, is being committed with effects, or is no longer held.
    const left = ends.filter((end) => isRun(end) && !held.has(nameOf(end)));
    await this.#settle(settleEach(left), held);
    // The first of a lease takes its name out, so that the later ones answer as not held.
    return settlements.map((end) => held.delete(nameOf(end)));
  }

  /** Adds to `held` which leases were ended. */
  async #settle(commands: readonly Command[], held: Set<string>): Promise<void> {
    if (commands.length === 0) return;
    const results = await this.#pool.run("settle jobs", commands);
    for (const { rows } of results) {
      if (rows[0] === undefined) continue;
      const names =
        "lease" in rows[0]
          ? completedNames(rows)
          : rows.map((row) => `${String(row["n"])}/${String(row["fence"])}`);
      for (const name of names) held.add(name);
    }
  }

  async cancel(id: string): Promise<JobState | undefined> {
    const results = await this.#pool.run("cancel job", [
      ...unpackById(id),
      command(lockLaneText, id),
      command(cancelText, id),
      findJob(id),
    ]);
    const row = results.at(-2)?.rows[0] ?? results.at(-1)?.rows[0];
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
    const [result] = await this.#pool.run("find job", [findJob(id)]);
    const row = result?.rows[0];
    return row === undefined ? undefined : toJobRecord(row);
  }

  async list(filter: {
    state?: JobState;
    type?: string;
    limit: number;
  }): Promise<readonly JobRecord[]> {
    const state = filter.state === undefined ? null : stateNumber(filter.state);
    const [, result] = await this.#pool.run("list jobs", [
      withoutJit,
      listJobs(state, filter.type ?? null, filter.limit),
    ]);
    return result?.rows.map(toJobRecord) ?? [];
  }

  async retryDead(id: string): Promise<boolean> {
    const [result] = await this.#pool.run("retry dead job", [command(retryDeadText, id)]);
    return result?.rows.length === 1;
  }

  async sweepEnded(olderThanMs: number, limit: number): Promise<number> {
    const [swept] = await this.#pool.run("sweep jobs", [
      command(sweepJobsText, olderThanMs, limit),
    ]);
    const rows = swept?.rows ?? [];
    const lanes = rows
      .filter((row) => row["lane"] !== null)
      .map((row) => ({ queue: String(row["queue"]), key: String(row["lane"]) }));
    if (lanes.length > 0) await this.#pool.run("sweep lanes", sweepLanes(lanes));
    const ends = await this.#sweepPacks(olderThanMs, limit - rows.length, rows);
    return rows.length + ends;
  }

  /** Sweeps what has ended in packs, and packs of which nothing is left, also by `rows`. */
  async #sweepPacks(olderThanMs: number, limit: number, rows: readonly Row[]): Promise<number> {
    const [, over, swept] = await this.#pool.run("sweep packs", sweepEnds(olderThanMs, limit));
    const ends = swept?.rows ?? [];
    const packs = new Set<string>();
    for (const row of [...rows, ...(over?.rows ?? []), ...ends]) {
      const { pack } = row;
      if (typeof pack === "number" || typeof pack === "string") packs.add(String(pack));
    }
    if (packs.size > 0) await this.#pool.run("drop packs", [dropPacks([...packs])]);
    return ends.reduce((sum, { jobs }) => sum + Number(jobs), 0);
  }
}

function nameOf({ n, fence }: JobSettlement): string {
  return `${n}/${fence}`;
}

/** The first settlement of each lease: a join to several rows updates with any one of them. */
function firstOfEach(settlements: readonly JobSettlement[]): readonly JobSettlement[] {
  const firsts = new Map<string, JobSettlement>();
  for (const end of settlements) {
    const name = nameOf(end);
    if (!firsts.has(name)) firsts.set(name, end);
  }
  return firsts.size === settlements.length ? settlements : [...firsts.values()];
}

/** Ends leases one by one, as rows. */
function settleEach(ends: readonly JobSettlement[]): readonly Command[] {
  return ends.length === 0 ? [] : [...unpack(ends), settleJobs(ends)];
}
