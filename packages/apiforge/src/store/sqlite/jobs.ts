import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type { JobLane, JobRecord, JobState, NewJob, Row } from "../contract.ts";
import { storeError } from "../errors.ts";
import { dueState, stateNumber, toJobRecord, toJobState } from "../job-row.ts";
import { fewestPacked, packRuns } from "../pack-runs.ts";
import type { SqliteConnection } from "./connection.ts";
import type { JobNumbers } from "./job-numbers.ts";
import type { LaneTable } from "./lanes.ts";
import type { PackReads } from "./pack-reads.ts";
import type { PackTable } from "./packs.ts";

/** What jobs are stored in beside their own rows. */
export interface JobTableParts {
  readonly numbers: JobNumbers;
  readonly lanes: LaneTable;
  readonly packs: PackTable;
  readonly packReads: PackReads;
  readonly clock: Clock;
}

/** Jobs before and after their attempts. Every method runs inside a unit of work. */
export class JobTable {
  readonly #clock: Clock;
  readonly #numbers: JobNumbers;
  readonly #lanes: LaneTable;
  readonly #packs: PackTable;
  readonly #packReads: PackReads;
  readonly #insert: StatementSync;
  readonly #insertUnique: StatementSync;
  readonly #holder: StatementSync;
  readonly #nextDue: StatementSync;
  readonly #find: StatementSync;
  readonly #list: StatementSync;
  readonly #retryDead: StatementSync;
  readonly #cancel: StatementSync;
  readonly #askToCancel: StatementSync;
  readonly #cancelRequests: StatementSync;
  readonly #sweep: StatementSync;

  constructor(connection: SqliteConnection, parts: JobTableParts) {
    this.#clock = parts.clock;
    this.#numbers = parts.numbers;
    this.#lanes = parts.lanes;
    this.#packs = parts.packs;
    this.#packReads = parts.packReads;
    const insert = `insert into forge_jobs
      (n, id, queue, type, tenant, payload, state, priority, run_at, max_attempts, dedupe_key, request_id, created_at,
       lane, ordered, deadline_at, traceparent)
      values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
    this.#insert = connection.prepare(insert);
    this.#insertUnique = connection.prepare(
      `${insert} on conflict (type, dedupe_key) where dedupe_key is not null and state < 3 do nothing`,
    );
    this.#holder = connection.prepare(
      "select id from forge_jobs where type = ? and dedupe_key = ? and state < 3",
    );
    this.#nextDue = connection.prepare(
      `select min(due) as due from (
         select min(run_at) as due from forge_jobs where state = 0
         union all
         select (min(next_at_us) + 999) / 1000 from forge_lanes where resting = 1)`,
    );
    this.#find = connection.prepare("select * from forge_jobs where id = ?");
    this.#list = connection.prepare(
      `select * from forge_jobs where (?1 is null or state = ?1) and (?2 is null or type = ?2)
       order by n desc limit ?3`,
    );
    this.#retryDead = connection.prepare(
      `update or ignore forge_jobs set state = ${dueState}, attempt = 0, deaths = 0,
         finished_at = null, deadline_at = null, cancel_at = null
       where id = ? and state = 4 returning queue, lane`,
    );
    this.#cancel = connection.prepare(
      "update forge_jobs set state = 5, finished_at = ? where id = ? and state < 2",
    );
    this.#askToCancel = connection.prepare(
      "update forge_jobs set cancel_at = coalesce(cancel_at, ?) where id = ? and state = 2",
    );
    this.#cancelRequests = connection.prepare(
      "select id from forge_jobs where state = 2 and lease_owner = ? and cancel_at is not null",
    );
    this.#sweep = connection.prepare(
      `delete from forge_jobs where n in
         (select n from forge_jobs where state in (3, 5) and finished_at < ? order by finished_at limit ?)
       returning queue, lane`,
    );
  }

  insert(jobs: readonly NewJob[]): void {
    for (const run of packRuns(jobs)) {
      const [first, ...rest] = run;
      if (first !== undefined && run.length >= fewestPacked) this.#packs.insert([first, ...rest]);
      else this.#insertRows(run);
    }
  }

  #insertRows(jobs: readonly NewJob[]): void {
    const entries = new Map<string, LaneEntry>();
    for (const job of jobs) {
      this.#insert.run(...this.#insertValues(job));
      if (job.lane !== null) countIn(entries, job.queue, job.lane, job.delayMs > 0 ? 0 : 1);
    }
    for (const { queue, lane, waiting } of entries.values())
      this.#lanes.enter(queue, lane, waiting);
  }

  insertUnique(job: NewJob): { id: string; inserted: boolean } {
    if (this.#insertUnique.run(...this.#insertValues(job)).changes === 1) {
      if (job.lane !== null) this.#lanes.enter(job.queue, job.lane, job.delayMs > 0 ? 0 : 1);
      return { id: job.id, inserted: true };
    }
    return { id: String(this.#holder.get(job.type, job.dedupeKey)?.["id"]), inserted: false };
  }

  nextDueInMs(): number | undefined {
    const due = this.#nextDue.get()?.["due"];
    return due === null || due === undefined
      ? undefined
      : Math.max(0, Number(due) - this.#clock.now());
  }

  find(id: string): JobRecord | undefined {
    const row = this.#find.get(id);
    return row === undefined ? this.#packReads.find(id)?.record : toJobRecord(row);
  }

  list(filter: { state?: JobState; type?: string; limit: number }): readonly JobRecord[] {
    const state = filter.state === undefined ? null : stateNumber(filter.state);
    const rows = this.#list.all(state, filter.type ?? null, filter.limit);
    const packed = this.#packReads.list(filter);
    if (packed.length === 0) return rows.map(toJobRecord);
    const unpacked = rows.map((row) => ({ n: Number(row["n"]), record: toJobRecord(row) }));
    return [...unpacked, ...packed]
      .toSorted((a, b) => b.n - a.n)
      .slice(0, filter.limit)
      .map(({ record }) => record);
  }

  retryDead(id: string): boolean {
    const row = this.#retryDead.get(id);
    if (row !== undefined) {
      if (row["lane"] !== null) this.#countWaiting(row, 1);
      return true;
    }
    if (this.find(id)?.state !== "dead") return false;
    throw storeError(
      "job_duplicate",
      "Another job with the same dedupe key waits or runs; retry after it has ended.",
    );
  }

  cancel(id: string): JobState | undefined {
    const row = this.#find.get(id) ?? this.#unpacked(id);
    // What has completed stays in its pack.
    if (row === undefined) return this.#packReads.find(id)?.record.state;
    const nowMs = this.#clock.now();
    if (this.#askToCancel.run(nowMs, id).changes === 1) return "running";
    const state = toJobState(row);
    if (this.#cancel.run(nowMs, id).changes === 0) return state;
    if (state === "waiting") this.#countWaiting(row, -1);
    return "cancelled";
  }

  cancelRequests(owner: string): readonly string[] {
    return this.#cancelRequests.all(owner).map((row) => String(row["id"]));
  }

  sweepEnded(olderThanMs: number, limit: number): number {
    const rows = this.#sweep.all(this.#clock.now() - olderThanMs, limit);
    for (const { queue, lane } of rows) {
      if (lane !== null) this.#lanes.sweep(String(queue), String(lane));
    }
    if (rows.length === limit) return limit;
    return rows.length + this.#packReads.sweep(olderThanMs, limit - rows.length);
  }

  /** The row of a live job that was packed until now. */
  #unpacked(id: string): Row | undefined {
    const packed = this.#packReads.find(id);
    if (packed === undefined || packed.record.state === "completed") return undefined;
    this.#packs.unpack(packed.n);
    return this.#find.get(id);
  }

  #countWaiting(row: Row, waiting: number): void {
    const change = { running: 0, waiting, nextAt: 0 };
    this.#lanes.change(String(row["queue"]), String(row["lane"]), change);
  }

  #insertValues(job: NewJob): (string | number | null)[] {
    const nowMs = this.#clock.now();
    return [
      this.#numbers.take(1),
      job.id,
      job.queue,
      job.type,
      job.tenant,
      job.payload,
      stateNumber(firstState(job)),
      job.priority,
      nowMs + job.delayMs,
      job.maxAttempts,
      job.dedupeKey,
      job.requestId,
      nowMs,
      job.lane?.key ?? null,
      job.lane?.ordered === true ? 1 : 0,
      job.deadlineMs === null ? null : nowMs + job.deadlineMs,
      job.traceparent,
    ];
  }
}

/** New jobs of one lane. */
interface LaneEntry {
  readonly queue: string;
  lane: JobLane;
  waiting: number;
}

function countIn(
  entries: Map<string, LaneEntry>,
  queue: string,
  lane: JobLane,
  waiting: number,
): void {
  const name = `${queue}\n${lane.key}`;
  const entry = entries.get(name);
  if (entry === undefined) entries.set(name, { queue, lane, waiting });
  else {
    entry.lane = lane;
    entry.waiting += waiting;
  }
}

function firstState(job: NewJob): JobState {
  if (job.delayMs > 0) return "scheduled";
  return job.lane === null ? "ready" : "waiting";
}
