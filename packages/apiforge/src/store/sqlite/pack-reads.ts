import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type { JobRecord, JobState, Row } from "../contract.ts";
import type { SqliteConnection } from "./connection.ts";
import type { PackItem, PackItems } from "./pack-items.ts";
import { toPack, type Pack, type PackParts, type PackTable } from "./packs.ts";

/** What the jobs of a pack can be; whatever else happens to one makes a row of it. */
const packedStates: ReadonlySet<JobState> = new Set(["ready", "running", "completed"]);

/** A job with its place in the order of insertion. */
export interface NumberedJob {
  readonly n: number;
  readonly record: JobRecord;
}

/** Looking for packed jobs, and deleting those that ended long ago. Every method runs inside a unit of work. */
export class PackReads {
  readonly #clock: Clock;
  readonly #packs: PackTable;
  readonly #items: PackItems;
  readonly #withId: StatementSync;
  readonly #newest: StatementSync;
  readonly #newestUnended: StatementSync;
  readonly #ends: StatementSync;
  readonly #leases: StatementSync;
  readonly #endedBefore: StatementSync;
  readonly #containing: StatementSync;
  readonly #forget: StatementSync;
  readonly #shorten: StatementSync;
  readonly #insertGone: StatementSync;

  constructor(connection: SqliteConnection, packs: PackTable, { items, clock }: PackParts) {
    this.#clock = clock;
    this.#packs = packs;
    this.#items = items;
    // Ids begin with their time, so the first pack that may hold one nearly always does.
    this.#withId = connection.prepare(
      "select * from forge_job_packs where last_id >= ?1 and first_id <= ?1 order by last_id",
    );
    this.#newest = connection.prepare(
      `select * from forge_job_packs
       where (?1 is null or type = ?1) and (?2 = 0 or kept > unended) order by n desc`,
    );
    this.#newestUnended = connection.prepare(
      `select * from forge_job_packs
       where unended > 0 and (?1 is null or type = ?1) order by n desc`,
    );
    this.#ends = connection.prepare(
      "select n, last_n, finished_at from forge_pack_ends where n between ? and ? order by n",
    );
    this.#leases = connection.prepare(
      "select n, last_n from forge_pack_leases where n between ? and ? order by n",
    );
    this.#endedBefore = connection.prepare(
      `select n, last_n from forge_pack_ends where finished_at < ?
       order by finished_at, n limit ?`,
    );
    this.#containing = connection.prepare(
      "select n from forge_job_packs where n <= ? order by n desc limit 1",
    );
    this.#forget = connection.prepare("update forge_pack_ends set finished_at = null where n = ?");
    this.#shorten = connection.prepare("update forge_pack_ends set n = ?2 where n = ?1");
    this.#insertGone = connection.prepare(
      "insert into forge_pack_ends (n, last_n, finished_at) values (?, ?, null)",
    );
  }

  /** Undefined when no pack speaks for a job with this id. */
  find(id: string): NumberedJob | undefined {
    for (const row of this.#withId.iterate(id)) {
      const pack = toPack(row);
      const index = this.#items.of(pack.n).findIndex(([known]) => known === id);
      if (index === -1) continue;
      const n = pack.n + index;
      const record = this.#view(pack).record(n);
      if (record !== undefined) return { n, record };
    }
    return undefined;
  }

  /** Newest first, each with its number. */
  list(filter: { state?: JobState; type?: string; limit: number }): readonly NumberedJob[] {
    const { state, type = null, limit } = filter;
    if (state !== undefined && !packedStates.has(state)) return [];
    const rows =
      state === undefined || state === "completed"
        ? this.#newest.iterate(type, state === undefined ? 0 : 1)
        : this.#newestUnended.iterate(type);
    const found: NumberedJob[] = [];
    for (const row of rows) {
      const view = this.#view(toPack(row));
      for (let n = view.last; n >= view.first && found.length < limit; n--) {
        const record = view.record(n);
        if (record === undefined) continue;
        if (state === undefined || record.state === state) found.push({ n, record });
      }
      if (found.length === limit) break;
    }
    return found;
  }

  /** Deletes up to `limit` jobs that completed more than `olderThanMs` ago; answers how many. */
  sweep(olderThanMs: number, limit: number): number {
    const ends = this.#endedBefore.all(this.#clock.now() - olderThanMs, limit);
    let swept = 0;
    for (const end of ends) {
      if (swept === limit) break;
      swept += this.#sweepRun(Number(end["n"]), Number(end["last_n"]), limit - swept);
    }
    return swept;
  }

  #sweepRun(first: number, last: number, limit: number): number {
    const jobs = Math.min(last - first + 1, limit);
    if (first + jobs > last) this.#forget.run(first);
    else {
      this.#shorten.run(first, first + jobs);
      this.#insertGone.run(first, first + jobs - 1);
    }
    this.#packs.change(Number(this.#containing.get(first)?.["n"]), 0, jobs);
    return jobs;
  }

  #view(pack: Pack): PackView {
    const last = pack.n + pack.count - 1;
    return new PackView(pack, this.#items.of(pack.n), {
      ends: this.#ends.all(pack.n, last),
      leases: this.#leases.all(pack.n, last),
    });
  }
}

/** The jobs of one pack as they are now. */
class PackView {
  readonly first: number;
  readonly last: number;
  readonly #pack: Pack;
  readonly #items: readonly PackItem[];
  readonly #ends: readonly Row[];
  readonly #leases: readonly Row[];

  constructor(
    pack: Pack,
    items: readonly PackItem[],
    runs: { readonly ends: readonly Row[]; readonly leases: readonly Row[] },
  ) {
    this.first = pack.n;
    this.last = pack.n + pack.count - 1;
    this.#pack = pack;
    this.#items = items;
    this.#ends = runs.ends;
    this.#leases = runs.leases;
  }

  /** Job `n`; undefined when it has left the pack. */
  record(n: number): JobRecord | undefined {
    const item = this.#items[n - this.first];
    const end = covering(this.#ends, n);
    if (item === undefined || end?.["finished_at"] === null) return undefined;
    const { queue, type, tenant, priority, maxAttempts, requestId, createdAt } = this.#pack;
    const isTaken = end !== undefined || covering(this.#leases, n) !== undefined;
    const unendedState = isTaken ? "running" : "ready";
    return {
      ...{ id: item[0], queue, type, tenant, payload: item[1], priority, maxAttempts, requestId },
      state: end === undefined ? unendedState : "completed",
      attempt: isTaken ? 1 : 0,
      runAt: createdAt,
      createdAt,
      finishedAt: end === undefined ? null : Number(end["finished_at"]),
      lastError: null,
      dedupeKey: null,
      key: null,
      deadlineAt: null,
    };
  }
}

/** The run that `n` is in. */
function covering(runs: readonly Row[], n: number): Row | undefined {
  return runs.find((run) => Number(run["n"]) <= n && n <= Number(run["last_n"]));
}
