import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type { JobLease, JobSettlement, Row } from "../contract.ts";
import { dueState, maxDeaths, processDiedError } from "../job-row.ts";
import type { SqliteConnection } from "./connection.ts";
import type { LaneTable } from "./lanes.ts";
import { packedFence, type PackTable } from "./packs.ts";

/** Ending leases. Every method runs inside a unit of work. */
export class SettlementTable {
  readonly #clock: Clock;
  readonly #lanes: LaneTable;
  readonly #packs: PackTable;
  readonly #complete: StatementSync;
  readonly #held: StatementSync;
  readonly #end: StatementSync;
  readonly #giveBack: StatementSync;
  readonly #recover: StatementSync;
  readonly #recoverOrphans: StatementSync;

  constructor(connection: SqliteConnection, lanes: LaneTable, packs: PackTable, clock: Clock) {
    this.#clock = clock;
    this.#lanes = lanes;
    this.#packs = packs;
    const held = "where n = ?1 and fence = ?2 and state = 2";
    const changed = "returning queue, lane, state, ordered, run_at";
    this.#complete = connection.prepare(
      `update forge_jobs set state = 3, lease_owner = null, finished_at = ?3 ${held} and lane is null`,
    );
    this.#held = connection.prepare(`select 1 from forge_jobs ${held}`);
    this.#end = connection.prepare(
      `update forge_jobs set state = ?3, lease_owner = null, finished_at = ?4,
         last_error = coalesce(?5, last_error) ${held} ${changed}`,
    );
    this.#giveBack = connection.prepare(
      `update forge_jobs set
         state = case when cancel_at is not null then 5
           when ?3 > ?5 and ordered = 0 then 0 else ${dueState} end,
         run_at = coalesce(?3, run_at), attempt = attempt - ?4,
         finished_at = case when cancel_at is not null then ?5 end,
         last_error = coalesce(?6, last_error), lease_owner = null ${held} ${changed}`,
    );
    const isLast = `cancel_at is null and deaths + 1 < ${maxDeaths}`;
    const recover = `update forge_jobs set
         state = case when ${isLast} then ${dueState} when cancel_at is null then 4 else 5 end,
         finished_at = case when ${isLast} then null else ?1 end,
         deaths = deaths + 1, attempt = attempt - 1,
         last_error = '${processDiedError}', lease_owner = null
       where state = 2`;
    this.#recover = connection.prepare(`${recover} and lease_owner = ?2 ${changed}`);
    this.#recoverOrphans = connection.prepare(
      `${recover} and lease_owner not in (select owner from forge_workers) ${changed}`,
    );
  }

  complete(lease: JobLease): boolean {
    if (lease.fence === packedFence && this.#packs.complete(lease.n, lease.n)) return true;
    const nowMs = this.#clock.now();
    // Most jobs have no key, and reading a row back costs as much as the change.
    if (this.#complete.run(lease.n, lease.fence, nowMs).changes === 1) return true;
    return this.#count(this.#end.get(lease.n, lease.fence, 3, nowMs, null));
  }

  holds(lease: JobLease): boolean {
    if (lease.fence === packedFence && this.#packs.holds(lease.n)) return true;
    return this.#held.get(lease.n, lease.fence) !== undefined;
  }

  /** Ends leases in order; completions of neighbours in a pack are one statement. */
  settle(settlements: readonly JobSettlement[]): readonly boolean[] {
    const held: boolean[] = [];
    let packed: PackedEnd[] = [];
    for (const [index, settlement] of settlements.entries()) {
      if (settlement.outcome === "completed" && settlement.fence === packedFence) {
        packed.push({ n: settlement.n, index });
        continue;
      }
      if (packed.length > 0) this.#completePacked(packed, held);
      packed = [];
      held[index] = this.#settleOne(settlement);
    }
    if (packed.length > 0) this.#completePacked(packed, held);
    return held;
  }

  #completePacked(ends: readonly PackedEnd[], held: boolean[]): void {
    for (const run of neighbours(ends)) {
      const isHeld = this.#packs.complete(run[0].n, run[0].n + run.length - 1);
      for (const { n, index } of run) {
        held[index] = isHeld || this.complete({ n, fence: packedFence });
      }
    }
  }

  #settleOne(settlement: JobSettlement): boolean {
    const { n, fence } = settlement;
    const nowMs = this.#clock.now();
    if (fence === packedFence) this.#packs.unpack(n);
    switch (settlement.outcome) {
      case "completed":
        return this.complete(settlement);
      case "dead":
        return this.#count(this.#end.get(n, fence, 4, nowMs, settlement.error));
      case "cancelled":
        return this.#count(this.#end.get(n, fence, 5, nowMs, null));
      case "retry":
      case "snoozed":
      case "released":
        return this.#wait(settlement);
    }
  }

  /** Makes the jobs that `owner` holds wait again, or buries them after too many such deaths; answers how many. */
  recover(owner: string): number {
    this.#packs.unpackHeldBy(owner);
    return this.#countAll(this.#recover.all(this.#clock.now(), owner));
  }

  /** {@link recover} for every owner that is not listed as living. */
  recoverOrphans(): number {
    this.#packs.unpackOrphans();
    return this.#countAll(this.#recoverOrphans.all(this.#clock.now()));
  }

  #wait(
    settlement: Exclude<JobSettlement, { outcome: "completed" | "dead" | "cancelled" }>,
  ): boolean {
    const { n, fence, outcome } = settlement;
    const nowMs = this.#clock.now();
    const runAt = outcome === "released" ? null : nowMs + settlement.delayMs;
    const error = outcome === "retry" ? settlement.error : null;
    const uncounted = outcome === "retry" ? 0 : 1;
    const row = this.#giveBack.get(n, fence, runAt, uncounted, nowMs, error);
    return this.#count(row, runAt ?? 0);
  }

  #countAll(rows: readonly Row[]): number {
    for (const row of rows) this.#count(row);
    return rows.length;
  }

  /** Counts a job out of its lane's running ones; false when no lease was ended. */
  #count(row: Row | undefined, runAt = 0): boolean {
    if (row === undefined) return false;
    const { queue, lane, state, ordered } = row;
    if (typeof lane !== "string") return true;
    const waits = state === -1;
    this.#lanes.change(String(queue), lane, {
      running: -1,
      waiting: waits ? 1 : 0,
      // The lane waits with its job, which keeps its place.
      nextAt: waits && ordered === 1 ? runAt : 0,
    });
    return true;
  }
}

/** The completion of a packed job, and its place among the settlements. */
interface PackedEnd {
  readonly n: number;
  readonly index: number;
}

/** `ends` cut into runs of consecutive numbers, in order. */
function* neighbours(ends: readonly PackedEnd[]): Generator<[PackedEnd, ...PackedEnd[]]> {
  let run: [PackedEnd, ...PackedEnd[]] | undefined;
  for (const end of ends.toSorted((a, b) => a.n - b.n)) {
    if (run !== undefined && end.n === run[0].n + run.length) run.push(end);
    else {
      if (run !== undefined) yield run;
      run = [end];
    }
  }
  if (run !== undefined) yield run;
}
