import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type { ClaimedJob, NewJob, Row } from "../contract.ts";
import type { SqliteConnection } from "./connection.ts";
import type { JobNumbers } from "./job-numbers.ts";
import type { PackItem, PackItems } from "./pack-items.ts";

/** The fence of a lease that a pack gave; every claim of a row makes it 1 or more. */
export const packedFence = 0;

/** A pack's row. */
export interface Pack {
  /** The number of its first job; the others follow. */
  readonly n: number;
  readonly queue: string;
  readonly priority: number;
  readonly count: number;
  readonly type: string;
  readonly tenant: string;
  readonly maxAttempts: number;
  readonly requestId: string;
  readonly traceparent: string | null;
  readonly createdAt: number;
  /** Jobs that were handed out, from the first on. */
  readonly taken: number;
}

/** Neighbours in one pack. */
export interface PackRun {
  readonly pack: Pack;
  readonly first: number;
  readonly last: number;
}

/** What packs are kept by. */
export interface PackParts {
  readonly numbers: JobNumbers;
  readonly items: PackItems;
  readonly clock: Clock;
}

/**
 * Jobs of one kind that one commit enqueued, as one row. A job leaves its pack for a row of its own
 * ({@link unpack}) as soon as anything but a completion happens to it; so a pack hands a job out
 * once, and knows three states: ready, running, completed. Every method runs inside a unit of work;
 * nothing is kept in memory but what never changes.
 */
export class PackTable {
  readonly #clock: Clock;
  readonly #numbers: JobNumbers;
  readonly #items: PackItems;
  readonly #insert: StatementSync;
  readonly #open: StatementSync;
  readonly #saveTaken: StatementSync;
  readonly #containing: StatementSync;
  readonly #insertLease: StatementSync;
  readonly #leaseBefore: StatementSync;
  readonly #leasesOf: StatementSync;
  readonly #orphans: StatementSync;
  readonly #deleteLeasesOf: StatementSync;
  readonly #deleteLeases: StatementSync;
  readonly #insertEnd: StatementSync;
  readonly #endBefore: StatementSync;
  readonly #endAfter: StatementSync;
  readonly #deleteEnds: StatementSync;
  readonly #count: StatementSync;
  readonly #delete: StatementSync;
  readonly #insertRow: StatementSync;

  constructor(connection: SqliteConnection, { numbers, items, clock }: PackParts) {
    this.#clock = clock;
    this.#numbers = numbers;
    this.#items = items;
    this.#insert = connection.prepare(
      `insert into forge_job_packs (n, queue, priority, count, type, tenant, max_attempts, request_id,
         created_at, first_id, last_id, traceparent, unended, kept)
       values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?4, ?4)`,
    );
    this.#open = connection.prepare(
      "select * from forge_job_packs where queue = ? and taken < count order by priority, n limit 1",
    );
    this.#saveTaken = connection.prepare("update forge_job_packs set taken = ? where n = ?");
    this.#containing = connection.prepare(
      "select * from forge_job_packs where n <= ? order by n desc limit 1",
    );
    this.#insertLease = connection.prepare(
      "insert into forge_pack_leases (n, last_n, owner) values (?, ?, ?)",
    );
    this.#leaseBefore = connection.prepare(
      "select owner, last_n from forge_pack_leases where n <= ? order by n desc limit 1",
    );
    this.#leasesOf = connection.prepare("select n, last_n from forge_pack_leases where owner = ?");
    this.#orphans = connection.prepare(
      `select distinct owner from forge_pack_leases
       where owner not in (select owner from forge_workers)`,
    );
    this.#deleteLeasesOf = connection.prepare("delete from forge_pack_leases where owner = ?");
    this.#deleteLeases = connection.prepare(
      "delete from forge_pack_leases where n between ? and ?",
    );
    this.#insertEnd = connection.prepare(
      "insert into forge_pack_ends (n, last_n, finished_at) values (?, ?, ?)",
    );
    this.#endBefore = connection.prepare(
      "select last_n from forge_pack_ends where n <= ? order by n desc limit 1",
    );
    this.#endAfter = connection.prepare(
      "select n, last_n from forge_pack_ends where n between ? and ? order by n limit 1",
    );
    this.#deleteEnds = connection.prepare("delete from forge_pack_ends where n between ? and ?");
    this.#count = connection.prepare(
      `update forge_job_packs set unended = unended - ?2, kept = kept - ?3 where n = ?1
       returning unended, kept, count`,
    );
    this.#delete = connection.prepare("delete from forge_job_packs where n = ?");
    this.#insertRow = connection.prepare(
      `insert into forge_jobs (n, id, queue, type, tenant, payload, state, priority, run_at, attempt,
         max_attempts, fence, lease_owner, request_id, created_at, traceparent)
       select ?1, ?2, queue, type, tenant, ?3, ?4, priority, created_at, ?5,
         max_attempts, ${packedFence}, ?6, request_id, created_at, traceparent
       from forge_job_packs where n = ?7`,
    );
  }

  /** Inserts `jobs`, which are all of one kind, as one pack. */
  insert(jobs: readonly [NewJob, ...NewJob[]]): void {
    const [{ queue, priority, type, tenant, maxAttempts, requestId, traceparent, id }] = jobs;
    let [firstId, lastId] = [id, id];
    for (const job of jobs) {
      if (job.id < firstId) firstId = job.id;
      else if (job.id > lastId) lastId = job.id;
    }
    const n = this.#numbers.take(jobs.length);
    const kind = [type, tenant, maxAttempts, requestId, this.#clock.now()];
    this.#insert.run(n, queue, priority, jobs.length, ...kind, firstId, lastId, traceparent);
    this.#items.save(n, jobs);
  }

  /** The next jobs of `queue` that can be handed out, side by side. */
  next(queue: string): PackRun | undefined {
    for (;;) {
      const row = this.#open.get(queue);
      if (row === undefined) return undefined;
      const pack = toPack(row);
      const first = pack.n + pack.taken;
      const last = pack.n + pack.count - 1;
      // What has left before its turn.
      const left = this.#endAfter.get(first, last);
      if (left === undefined) return { pack, first, last };
      if (Number(left["n"]) > first) return { pack, first, last: Number(left["n"]) - 1 };
      this.#saveTaken.run(Number(left["last_n"]) + 1 - pack.n, pack.n);
    }
  }

  /** Leases a run that begins where {@link next} said; one row stands for all of it. */
  take({ pack, first, last }: PackRun, owner: string): readonly ClaimedJob[] {
    this.#insertLease.run(first, last, owner);
    this.#saveTaken.run(last + 1 - pack.n, pack.n);
    const items = this.#items.of(pack.n);
    const claimed: ClaimedJob[] = [];
    for (let n = first; n <= last; n++) claimed.push(toClaimedJob(pack, n, items[n - pack.n]));
    return claimed;
  }

  /** Completes jobs `first` to `last`, or none of them when a pack's lease of one is not held. */
  complete(first: number, last: number): boolean {
    const runs = this.#held(first, last);
    if (runs === undefined) return false;
    const nowMs = this.#clock.now();
    for (const run of runs) {
      this.#insertEnd.run(run.first, run.last, nowMs);
      this.change(run.pack.n, run.last - run.first + 1, 0);
    }
    return true;
  }

  /** Whether a lease that a pack gave is held. */
  holds(n: number): boolean {
    return this.#held(n, n) !== undefined;
  }

  /** Makes a row of a job, in the state that it is in, a lease included; nothing when no pack speaks for it. */
  unpack(n: number): void {
    const pack = this.#packOf(n);
    if (pack === undefined || this.#isEnded(n, n)) return;
    const owner = n < pack.n + pack.taken ? this.#ownerOf(n) : null;
    const item = this.#items.of(pack.n)[n - pack.n];
    const [state, attempt] = owner === null ? [1, 0] : [2, 1];
    this.#insertRow.run(n, item?.[0] ?? "", item?.[1] ?? "", state, attempt, owner, pack.n);
    this.#insertEnd.run(n, n, null);
    this.change(pack.n, 1, 1);
  }

  /** {@link unpack} for all that `owner` holds. */
  unpackHeldBy(owner: string): void {
    for (const lease of this.#leasesOf.all(owner)) {
      for (let n = Number(lease["n"]); n <= Number(lease["last_n"]); n++) this.unpack(n);
    }
    this.#deleteLeasesOf.run(owner);
  }

  /** {@link unpackHeldBy} for every owner that is not listed as living. */
  unpackOrphans(): void {
    for (const { owner } of this.#orphans.all()) this.unpackHeldBy(String(owner));
  }

  /** Counts jobs of a pack as ended, or as no longer its own; what it no longer needs is deleted. */
  change(n: number, ended: number, gone: number): void {
    const left = this.#count.get(n, ended, gone);
    const last = n + Number(left?.["count"]) - 1;
    if (left?.["unended"] === 0 && ended > 0) this.#deleteLeases.run(n, last);
    if (left?.["kept"] !== 0) return;
    this.#deleteEnds.run(n, last);
    this.#items.delete(n);
    this.#delete.run(n);
  }

  /** `first` to `last` cut by packs; undefined when one of them is not leased by its pack. */
  #held(first: number, last: number): readonly PackRun[] | undefined {
    const runs: PackRun[] = [];
    for (let from = first; from <= last;) {
      const pack = this.#packOf(from);
      if (pack === undefined) return undefined;
      const to = Math.min(last, pack.n + pack.count - 1);
      if (to >= pack.n + pack.taken || this.#isEnded(from, to)) return undefined;
      runs.push({ pack, first: from, last: to });
      from = to + 1;
    }
    return runs;
  }

  #packOf(n: number): Pack | undefined {
    const row = this.#containing.get(n);
    if (row === undefined) return undefined;
    const pack = toPack(row);
    return n < pack.n + pack.count ? pack : undefined;
  }

  /** Whether one of them has ended or left. */
  #isEnded(first: number, last: number): boolean {
    // Ends never overlap, so only the nearest one can reach in.
    const end = this.#endBefore.get(last);
    return end !== undefined && Number(end["last_n"]) >= first;
  }

  #ownerOf(n: number): string | null {
    const lease = this.#leaseBefore.get(n);
    return lease !== undefined && Number(lease["last_n"]) >= n ? String(lease["owner"]) : null;
  }
}

/** A pack's row as it was read. */
export function toPack(row: Row): Pack {
  return {
    n: Number(row["n"]),
    queue: String(row["queue"]),
    priority: Number(row["priority"]),
    count: Number(row["count"]),
    type: String(row["type"]),
    tenant: String(row["tenant"]),
    maxAttempts: Number(row["max_attempts"]),
    requestId: String(row["request_id"]),
    traceparent: typeof row["traceparent"] === "string" ? row["traceparent"] : null,
    createdAt: Number(row["created_at"]),
    taken: Number(row["taken"]),
  };
}

function toClaimedJob(pack: Pack, n: number, item: PackItem | undefined): ClaimedJob {
  if (item === undefined) throw new TypeError(`Job ${n} is missing in its pack`);
  const { queue, type, tenant, maxAttempts, requestId, traceparent } = pack;
  return {
    n,
    id: item[0],
    queue,
    type,
    tenant,
    payload: item[1],
    attempt: 1,
    maxAttempts,
    requestId,
    traceparent,
    fence: packedFence,
    deaths: 0,
    key: null,
    startInMs: null,
    deadlineInMs: null,
  };
}
