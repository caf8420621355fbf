import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type { ClaimedJob } from "../contract.ts";
import {
  claimedColumns,
  claimedLaneColumns,
  deadlineExceededError,
  dueState,
  toClaimedJob,
  toClaimedJobs,
} from "../job-row.ts";
import type { SqliteConnection } from "./connection.ts";
import type { LaneShare } from "./lane-shares.ts";
import { openLane, type LaneTable } from "./lanes.ts";
import type { PackRun, PackTable } from "./packs.ts";

const promoteLimit = 1_000;
const expireLimit = 1_000;

/** Leasing jobs. Every method runs inside a unit of work. */
export class ClaimTable {
  readonly #clock: Clock;
  readonly #lanes: LaneTable;
  readonly #packs: PackTable;
  readonly #due: StatementSync;
  readonly #seen: StatementSync;
  readonly #promote: StatementSync;
  readonly #expired: StatementSync;
  readonly #expire: StatementSync;
  readonly #claimReady: StatementSync;
  readonly #claimUnexpired: StatementSync;
  readonly #claimBefore: StatementSync;
  readonly #firstReady: StatementSync;
  readonly #suspect: StatementSync;
  readonly #holdsSuspect: StatementSync;
  readonly #waiting: StatementSync;
  readonly #claimNamed: StatementSync;
  /** Queues whose next claim begins with lanes and suspects. */
  readonly #othersFirst = new Set<string>();

  constructor(connection: SqliteConnection, lanes: LaneTable, packs: PackTable, clock: Clock) {
    this.#clock = clock;
    this.#lanes = lanes;
    this.#packs = packs;
    const lease = `update forge_jobs
      set state = 2, attempt = attempt + 1, fence = fence + 1, lease_owner = ?1`;
    const leased = `returning ${claimedColumns}, deadline_at - ?4 as deadline_in_ms`;
    const ready = "select n from forge_jobs where queue = ?2 and state = 1 and deaths = 0";
    const unexpired = "(deadline_at is null or deadline_at > ?4)";
    const inOrder = "order by priority, n limit ?3";
    // Most claims find nothing of this kind, and asking costs less than trying.
    this.#due = connection.prepare(
      `select exists (select 1 from forge_jobs where state = 0 and run_at <= ?1) as scheduled,
         exists (select 1 from forge_lanes where resting = 1 and next_at_us <= ?1 * 1000) as resting,
         exists (select 1 from forge_jobs
           where deadline_at is not null and state < 2 and deadline_at <= ?1) as late`,
    );
    this.#seen = connection.prepare(
      `select exists (select 1 from forge_lanes where queue = ?1 and ${openLane}) as lanes,
         exists (select 1 from forge_jobs where queue = ?1 and state = 1 and deaths > 0) as suspects,
         exists (select 1 from forge_jobs where queue = ?1 and state = 1 and deaths = 0) as rows,
         exists (select 1 from forge_paused_queues where queue = ?1) as paused`,
    );
    this.#promote = connection.prepare(
      `update forge_jobs set state = ${dueState} where n in
         (select n from forge_jobs where state = 0 and run_at <= ? order by run_at limit ${promoteLimit})
       returning queue, lane`,
    );
    this.#expired = connection.prepare(
      `select n, queue, lane, state from forge_jobs
       where deadline_at is not null and state < 2 and deadline_at <= ?
       order by deadline_at limit ${expireLimit}`,
    );
    this.#expire = connection.prepare(
      `update forge_jobs set state = 4, finished_at = ?, last_error = '${deadlineExceededError}'
       where n = ?`,
    );
    this.#claimReady = connection.prepare(`${lease} where n in (${ready} ${inOrder}) ${leased}`);
    this.#claimUnexpired = connection.prepare(
      `${lease} where n in (${ready} and ${unexpired} ${inOrder}) ${leased}`,
    );
    this.#claimBefore = connection.prepare(
      `${lease} where n in
         (${ready} and ${unexpired} and (priority, n) < (?5, ?6) ${inOrder}) ${leased}`,
    );
    this.#firstReady = connection.prepare(
      `select priority, n from forge_jobs where queue = ?1 and state = 1 and deaths = 0
         and (deadline_at is null or deadline_at > ?2) order by priority, n limit 1`,
    );
    this.#suspect = connection.prepare(
      `select n from forge_jobs where queue = ?1 and state = 1 and deaths > 0
         and (deadline_at is null or deadline_at > ?2) order by priority, n limit 1`,
    );
    this.#holdsSuspect = connection.prepare(
      "select 1 from forge_jobs where state = 2 and lease_owner = ? and deaths > 0 limit 1",
    );
    this.#waiting = connection.prepare(
      `select n, deaths from forge_jobs where queue = ?1 and lane = ?2 and state = -1
         and (deadline_at is null or deadline_at > ?4)
       ${inOrder}`,
    );
    this.#claimNamed = connection.prepare(
      `${lease} where n = ?2
       returning ${claimedColumns}, ${claimedLaneColumns}, deadline_at - ?4 as deadline_in_ms, ?3 as start_in_ms`,
    );
  }

  claim(queue: string, owner: string, limit: number, keyedLimit: number): readonly ClaimedJob[] {
    const isAllExpired = this.#upkeep();
    const { hasLanes, hasSuspects, hasRows, isPaused } = this.#survey(queue);
    if (isPaused) return [];
    const claimRows = isAllExpired ? this.#claimReady : this.#claimUnexpired;
    const rows = hasRows ? claimRows : undefined;
    const suspects = new SuspectRule(() => this.#holdsSuspect.get(owner) !== undefined);
    const claimed: ClaimedJob[] = [];
    const room = (): number => limit - claimed.length;
    const others = (): void => {
      if (hasSuspects && room() > 0) claimed.push(...this.#claimSuspect(queue, owner, suspects));
      const keyed = Math.min(keyedLimit, room());
      if (hasLanes && keyed > 0) claimed.push(...this.#claimLanes(queue, owner, keyed, suspects));
    };
    const othersFirst = this.#othersFirst.delete(queue);
    if (!othersFirst) this.#othersFirst.add(queue);
    if (othersFirst) others();
    if (room() > 0) claimed.push(...this.#claimPlain(queue, owner, room(), rows));
    if (!othersFirst) others();
    return claimed;
  }

  /**
   * Rows and packs together in the order of priority and insertion. `rows` claims rows; undefined
   * where there are none, as it costs 18 us to learn that.
   */
  #claimPlain(
    queue: string,
    owner: string,
    limit: number,
    rows: StatementSync | undefined,
  ): readonly ClaimedJob[] {
    const claimed: ClaimedJob[] = [];
    for (;;) {
      const room = limit - claimed.length;
      if (room === 0) return claimed;
      const run = this.#packs.next(queue);
      if (run === undefined) {
        const leased = rows?.all(owner, queue, room, this.#clock.now()) ?? [];
        return claimed.concat(toClaimedJobs(leased));
      }
      claimed.push(...this.#claimUpTo(run, queue, owner, room));
    }
  }

  /** The rows that come before `run`; when there is none, as much of it as comes before the next row. */
  #claimUpTo(run: PackRun, queue: string, owner: string, limit: number): readonly ClaimedJob[] {
    const nowMs = this.#clock.now();
    const row = this.#firstReady.get(queue, nowMs);
    const { priority } = run.pack;
    const n = Number(row?.["n"] ?? Infinity);
    const ahead = Number(row?.["priority"] ?? Infinity) - priority || n - run.first;
    if (ahead < 0) {
      return toClaimedJobs(this.#claimBefore.all(owner, queue, limit, nowMs, priority, run.first));
    }
    const nextRow = row?.["priority"] === priority ? n : Infinity;
    const last = Math.min(run.last, run.first + limit - 1, nextRow - 1);
    return this.#packs.take({ ...run, last }, owner);
  }

  /** Moves on what time has moved on; false when more jobs are past their deadline than were buried. */
  #upkeep(): boolean {
    const due = this.#due.get(this.#clock.now());
    if (due?.["scheduled"] === 1) this.#promoteDue();
    if (due?.["resting"] === 1) this.#lanes.wake();
    return due?.["late"] !== 1 || this.#expireLate() < expireLimit;
  }

  /** What the queue has: open lanes, suspects, other ready rows, a pause. */
  #survey(queue: string) {
    const seen = this.#seen.get(queue);
    return {
      hasLanes: seen?.["lanes"] === 1,
      hasSuspects: seen?.["suspects"] === 1,
      hasRows: seen?.["rows"] === 1,
      isPaused: seen?.["paused"] === 1,
    };
  }

  #promoteDue(): void {
    for (const { queue, lane } of this.#promote.all(this.#clock.now())) {
      if (lane === null) continue;
      this.#lanes.change(String(queue), String(lane), { running: 0, waiting: 1, nextAt: 0 });
    }
  }

  /** Buries jobs whose deadline came first; answers how many. */
  #expireLate(): number {
    const nowMs = this.#clock.now();
    const rows = this.#expired.all(nowMs);
    for (const { n, queue, lane, state } of rows) {
      this.#expire.run(nowMs, Number(n));
      if (state !== -1) continue;
      this.#lanes.change(String(queue), String(lane), { running: 0, waiting: -1, nextAt: 0 });
    }
    return rows.length;
  }

  #claimSuspect(queue: string, owner: string, suspects: SuspectRule): readonly ClaimedJob[] {
    const row = this.#suspect.get(queue, this.#clock.now());
    return row === undefined || !suspects.admit()
      ? []
      : [this.#claimOne(Number(row["n"]), owner, null)];
  }

  #claimLanes(
    queue: string,
    owner: string,
    limit: number,
    suspects: SuspectRule,
  ): readonly ClaimedJob[] {
    const shares = this.#lanes.shares(queue, limit);
    return shares.flatMap((share) => this.#claimShare(queue, owner, share, suspects));
  }

  #claimShare(
    queue: string,
    owner: string,
    share: LaneShare,
    suspects: SuspectRule,
  ): readonly ClaimedJob[] {
    if (share.jobs === 0) return [];
    const waiting = this.#waiting.all(queue, share.key, share.jobs, this.#clock.now());
    const admitted = waiting.filter(({ deaths }) => deaths === 0 || suspects.admit());
    // A lane of which nothing could be taken goes to the end as well, or it would keep its turn.
    this.#lanes.serve(queue, share, admitted.length);
    return admitted.map(({ n }, index) =>
      this.#claimOne(Number(n), owner, this.#lanes.startInMs(share, index)),
    );
  }

  #claimOne(n: number, owner: string, startInMs: number | null): ClaimedJob {
    const row = this.#claimNamed.get(owner, n, startInMs, this.#clock.now());
    if (row === undefined) throw new TypeError(`Job ${n} vanished while it was claimed`);
    return toClaimedJob(row);
  }
}

/**
 * Admits at most one job that a process has died with, and none to an owner who holds one: should
 * this one die too, the only suspect that dies with it is the job that it died of.
 */
class SuspectRule {
  readonly #holdsOne: () => boolean;
  #isOpen: boolean | undefined;

  /** @param holdsOne asked when the first suspect shows up: most claims see none. */
  constructor(holdsOne: () => boolean) {
    this.#holdsOne = holdsOne;
  }

  admit(): boolean {
    const isOpen = this.#isOpen ?? !this.#holdsOne();
    this.#isOpen = false;
    return isOpen;
  }
}
