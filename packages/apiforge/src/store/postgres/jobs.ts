import { randomInt } from "node:crypto";

import type { Clock } from "../../kernel/index.ts";
import type { ClaimedJob, JobRecord, JobSettlement, JobState, JobStore } from "../contract.ts";
import { stateNumber, toClaimedJobs, toJobRecord } from "../job-row.ts";
import { command, type Command } from "./command.ts";
import { claimReady, now, promoteDue, releaseClaims, settleJobs } from "./job-statements.ts";
import type { ConnectionPool } from "./pool.ts";

/** How long the leases of a claim whose answer was lost are looked for: it may be committed late. */
const lostClaimMs = 60_000;
const fenceLimit = 2 ** 48 - 1;
const nextDueText = `select run_at - forge_now() as due_in_ms from forge_jobs where state = 0
   order by run_at limit 1`;
const findText = "select * from forge_jobs where id = $1";
const listText = `select * from forge_jobs
   where ($1::smallint is null or state = $1) and ($2::text is null or type = $2)
   order by n desc limit $3`;
const retryDeadText =
  "update forge_jobs set state = 1, attempt = 0, deaths = 0, finished_at = null where id = $1 and state = 4";
const sweepText = `delete from forge_jobs where n = any(array(
     select n from forge_jobs where state = 3 and finished_at < ${now} - $1::bigint
     order by finished_at limit $2 for update skip locked))`;

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
      promoteDue,
      claimReady(queue, owner, limit, fence),
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
    const [result] = await this.#pool.run("settle jobs", [settleJobs(settlements)]);
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
    return fences.length === 0 ? [] : [releaseClaims(owner, fences)];
  }
}
