import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type { JobLane, Pause } from "../contract.ts";
import { unlimitedConcurrency, type LaneChange } from "../job-row.ts";
import type { SqliteConnection } from "./connection.ts";
import { shareOut, type LaneShare } from "./lane-shares.ts";

const wakeLimit = 1_000;
/** A lane that may hand out jobs: the conditions of the index `forge_lanes_open`. */
export const openLane =
  "waiting > 0 and running < concurrency and resting = 0 and paused_at is null";

/** Lanes: one row stands for all jobs of a queue with one key, and counts them. */
export class LaneTable {
  readonly #clock: Clock;
  readonly #enter: StatementSync;
  readonly #change: StatementSync;
  readonly #wake: StatementSync;
  readonly #openLanes: StatementSync;
  readonly #serve: StatementSync;
  readonly #sweep: StatementSync;
  readonly #pause: StatementSync;
  readonly #resume: StatementSync;
  readonly #pauseQueue: StatementSync;
  readonly #resumeQueue: StatementSync;
  readonly #paused: StatementSync;
  #turn: number;

  constructor(connection: SqliteConnection, clock: Clock) {
    this.#clock = clock;
    this.#turn = Number(
      connection.prepare("select coalesce(max(turn), 0) as turn from forge_lanes").get()?.["turn"],
    );
    this.#enter = connection.prepare(
      `insert into forge_lanes (queue, key, concurrency, spacing_us, waiting, turn)
       values (?, ?, ?, ?, ?, ?)
       on conflict (queue, key) do update set concurrency = excluded.concurrency,
         spacing_us = excluded.spacing_us, waiting = waiting + excluded.waiting`,
    );
    this.#change = connection.prepare(
      `update forge_lanes set running = running + ?3, waiting = waiting + ?4,
         next_at_us = max(next_at_us, ?5), resting = case when ?5 > ?6 then 1 else resting end
       where queue = ?1 and key = ?2`,
    );
    this.#wake = connection.prepare(
      `update forge_lanes set resting = 0 where (queue, key) in
         (select queue, key from forge_lanes where resting = 1 and next_at_us <= ?
          order by next_at_us limit ${wakeLimit})`,
    );
    this.#openLanes = connection.prepare(
      `select key, waiting, concurrency - running as free, spacing_us, next_at_us
       from forge_lanes where queue = ? and ${openLane} order by turn limit ?`,
    );
    this.#serve = connection.prepare(
      `update forge_lanes set running = running + ?3, waiting = waiting - ?3, next_at_us = ?4,
         resting = case when ?4 > ?5 then 1 else 0 end, turn = ?6
       where queue = ?1 and key = ?2`,
    );
    this.#sweep = connection.prepare(
      `delete from forge_lanes where queue = ?1 and key = ?2
         and running = 0 and waiting = 0 and paused_at is null and next_at_us <= ?3
         and not exists (select 1 from forge_jobs where queue = ?1 and lane = ?2)`,
    );
    this.#pause = connection.prepare(
      `insert into forge_lanes (queue, key, concurrency, spacing_us, paused_at, turn)
       values (?, ?, ${unlimitedConcurrency}, 0, ?, ?)
       on conflict (queue, key) do update set paused_at = coalesce(paused_at, excluded.paused_at)`,
    );
    this.#resume = connection.prepare(
      "update forge_lanes set paused_at = null where queue = ? and key = ? and paused_at is not null",
    );
    this.#pauseQueue = connection.prepare(
      "insert into forge_paused_queues (queue, paused_at) values (?, ?) on conflict do nothing",
    );
    this.#resumeQueue = connection.prepare("delete from forge_paused_queues where queue = ?");
    this.#paused = connection.prepare(
      `select queue, null as key, paused_at from forge_paused_queues
       union all select queue, key, paused_at from forge_lanes where paused_at is not null limit ?`,
    );
  }

  /** Counts `waiting` new jobs in; the lane has the limits of the last of them. */
  enter(queue: string, lane: JobLane, waiting: number): void {
    const concurrency = lane.ordered ? 1 : (lane.concurrency ?? unlimitedConcurrency);
    this.#enter.run(queue, lane.key, concurrency, lane.spacingUs, waiting, this.#nextTurn());
  }

  /** Counts what happened to jobs of a lane. */
  change(queue: string, key: string, change: LaneChange): void {
    const { running, waiting, nextAt } = change;
    this.#change.run(queue, key, running, waiting, nextAt * 1_000, this.#nowUs());
  }

  /** Lets up to 1,000 lanes go on whose time has come. */
  wake(): void {
    this.#wake.run(this.#nowUs());
  }

  /** What up to `limit` jobs are to be taken of, the lane served least recently first. */
  shares(queue: string, limit: number): readonly LaneShare[] {
    const lanes = this.#openLanes.all(queue, limit).map((row) => ({
      key: String(row["key"]),
      waiting: Number(row["waiting"]),
      free: Number(row["free"]),
      spacingUs: Number(row["spacing_us"]),
      nextAtUs: Number(row["next_at_us"]),
    }));
    return shareOut(lanes, limit, this.#nowUs());
  }

  /** Counts `taken` jobs as running; the lane's next turn comes after those of all others. */
  serve(queue: string, share: LaneShare, taken: number): void {
    const { key, spacingUs, startAtUs } = share;
    const nextAtUs = startAtUs + taken * spacingUs;
    this.#serve.run(queue, key, taken, nextAtUs, this.#nowUs(), this.#nextTurn());
  }

  /** Milliseconds from now to the `index`th start of a share; null where there is no rate. */
  startInMs({ spacingUs, startAtUs }: LaneShare, index: number): number | null {
    if (spacingUs === 0) return null;
    return Math.ceil((startAtUs + index * spacingUs - this.#nowUs()) / 1_000);
  }

  /** Removes a lane that nothing is left of: no job in any state, no pause, no start to wait for. */
  sweep(queue: string, key: string): void {
    this.#sweep.run(queue, key, this.#nowUs());
  }

  pause(queue: string, key: string | null): void {
    if (key === null) this.#pauseQueue.run(queue, this.#clock.now());
    else this.#pause.run(queue, key, this.#clock.now(), this.#nextTurn());
  }

  resume(queue: string, key: string | null): boolean {
    if (key === null) return this.#resumeQueue.run(queue).changes === 1;
    const isResumed = this.#resume.run(queue, key).changes === 1;
    if (isResumed) this.sweep(queue, key);
    return isResumed;
  }

  paused(limit: number): readonly Pause[] {
    return this.#paused.all(limit).map((row) => ({
      queue: String(row["queue"]),
      key: typeof row["key"] === "string" ? row["key"] : null,
      pausedAt: Number(row["paused_at"]),
    }));
  }

  #nowUs(): number {
    return this.#clock.now() * 1_000;
  }

  #nextTurn(): number {
    this.#turn += 1;
    return this.#turn;
  }
}
