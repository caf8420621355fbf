import type { JobLane, NewJob, Pause, QueueStore } from "../contract.ts";
import { unlimitedConcurrency } from "../job-row.ts";
import { command, type Command } from "./command.ts";
import type { ConnectionPool } from "./pool.ts";
import { rowsCommand, rowsStatement } from "./rows.ts";

/** A lane that may hand out jobs: the conditions of the index `forge_lanes_open`. */
export const openLane =
  "waiting > 0 and running < concurrency and resting = 0 and paused_at is null";
/** The server's time in microseconds; a subquery, so that it is asked for once. */
export const nowUs = "(select forge_now() * 1000)";

/*
 * Nobody waits in a circle: transactions lock rows of jobs first and lanes after them, in the order
 * of (queue, key) and with one statement; a claim locks lanes first, and waits for no lock at all.
 */
const change = rowsStatement(
  ["text", "text", "integer", "bigint", "integer", "integer"],
  // A concurrency of 0 leaves the limits as they are.
  (source) => `insert into forge_lanes (queue, key, concurrency, spacing_us, waiting, running)
   select * from ${source} as lane (queue, key, concurrency, spacing_us, waiting, running)
   order by queue, key
   on conflict (queue, key) do update set
     concurrency = coalesce(nullif(excluded.concurrency, 0), forge_lanes.concurrency),
     spacing_us = case excluded.concurrency when 0 then forge_lanes.spacing_us
       else excluded.spacing_us end,
     waiting = forge_lanes.waiting + excluded.waiting,
     running = forge_lanes.running + excluded.running`,
);
const wakeText = `update forge_lanes set resting = 0 where (queue, key) in (
     select queue, key from forge_lanes where resting = 1 and next_at_us <= ${nowUs}
     order by next_at_us limit 1000 for update skip locked)`;
const lockText = `select 1 from forge_lanes
   where (queue, key) in (select * from unnest($1::text[], $2::text[]))
   order by queue, key for update`;
const sweepText = `delete from forge_lanes lane
   where (queue, key) in (select * from unnest($1::text[], $2::text[]))
     and running = 0 and waiting = 0 and paused_at is null and next_at_us <= ${nowUs}
     and not exists (select from forge_jobs job where job.queue = lane.queue and job.lane = lane.key)`;
const pauseText = `insert into forge_lanes (queue, key, concurrency, spacing_us, paused_at)
   values ($1, $2, ${unlimitedConcurrency}, 0, forge_now())
   on conflict (queue, key) do update
     set paused_at = coalesce(forge_lanes.paused_at, excluded.paused_at)`;
const resumeText =
  "update forge_lanes set paused_at = null where queue = $1 and key = $2 and paused_at is not null";
const pauseQueueText =
  "insert into forge_paused_queues (queue, paused_at) values ($1, forge_now()) on conflict do nothing";
const resumeQueueText = "delete from forge_paused_queues where queue = $1";
const pausedText = `select queue, null as key, paused_at from forge_paused_queues
   union all select queue, key, paused_at from forge_lanes where paused_at is not null limit $1`;

/** Lets up to 1,000 lanes go on whose time has come. */
export const wakeLanes = command(wakeText);

/**
 * Removes lanes that nothing is left of: no job in any state, no pause, no start to wait for. They
 * are locked by a statement of its own, so that the next one sees what was put in meanwhile.
 */
export function sweepLanes(lanes: readonly { queue: string; key: string }[]): readonly Command[] {
  const values = [lanes.map(({ queue }) => queue), lanes.map(({ key }) => key)];
  return [command(lockText, ...values), command(sweepText, ...values)];
}

/**
 * `changed`, a statement that changes jobs and returns `queue`, `lane`, and what that changes in
 * its lane (`running`, `waiting`, `next_at` or null), with the lanes changed by it and `answer`,
 * a select from `changed`.
 */
export function countingLanes(changed: string, answer: string): string {
  return `with changed as (${changed}), delta as (
     select queue, lane, sum(running)::integer as running, sum(waiting)::integer as waiting,
       max(next_at) * 1000 as next_at_us
     from changed where lane is not null group by queue, lane
   ), locked as materialized (
     select queue, key from forge_lanes
     where key = any(array(select lane from delta)) and queue = any(array(select queue from delta))
       and (queue, key) in (select queue, lane from delta)
     order by queue, key for update
   ), counted as (
     update forge_lanes lane set
       running = lane.running + delta.running,
       waiting = lane.waiting + delta.waiting,
       next_at_us = greatest(lane.next_at_us, delta.next_at_us),
       resting = case when delta.next_at_us > ${nowUs} then 1 else lane.resting end
     from delta join locked on locked.queue = delta.queue and locked.key = delta.lane
     where lane.queue = delta.queue and lane.key = delta.lane
       and lane.key = any(array(select key from locked))
       and lane.queue = any(array(select queue from locked))
   )
   ${answer}`;
}

interface LaneDelta {
  readonly queue: string;
  readonly key: string;
  limits: JobLane | undefined;
  waiting: number;
  running: number;
}

/** What one transaction changes in lanes, to be written by one statement at its end. */
export class LaneChanges {
  readonly #deltas = new Map<string, LaneDelta>();

  /** Counts a new job in; the lane has the limits of the last of them. */
  enter({ queue, lane, delayMs }: NewJob): void {
    if (lane === null) return;
    const delta = this.#delta(queue, lane.key);
    delta.limits = lane;
    if (delayMs <= 0) delta.waiting += 1;
  }

  /** Counts a job out that was running. */
  leave(queue: string, key: string): void {
    this.#delta(queue, key).running -= 1;
  }

  /** Nothing where nothing changed. */
  commands(): readonly Command[] {
    const rows = [...this.#deltas.values()].map(toRow);
    return rows.length === 0 ? [] : [rowsCommand(change, rows)];
  }

  #delta(queue: string, key: string): LaneDelta {
    const name = `${queue}\n${key}`;
    const known = this.#deltas.get(name);
    if (known !== undefined) return known;
    const delta = { queue, key, limits: undefined, waiting: 0, running: 0 };
    this.#deltas.set(name, delta);
    return delta;
  }
}

function toRow({ queue, key, limits, waiting, running }: LaneDelta): (string | number)[] {
  if (limits === undefined) return [queue, key, 0, 0, waiting, running];
  const concurrency = limits.ordered ? 1 : (limits.concurrency ?? unlimitedConcurrency);
  return [queue, key, concurrency, limits.spacingUs, waiting, running];
}

/** Pauses of queues and keys. */
export class QueueTable implements QueueStore {
  readonly #pool: ConnectionPool;

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  async pause(queue: string, key: string | null): Promise<void> {
    const pause = key === null ? command(pauseQueueText, queue) : command(pauseText, queue, key);
    await this.#pool.run("pause queue", [pause]);
  }

  async resume(queue: string, key: string | null): Promise<boolean> {
    const commands =
      key === null
        ? [command(resumeQueueText, queue)]
        : [command(resumeText, queue, key), ...sweepLanes([{ queue, key }])];
    const [resumed] = await this.#pool.run("resume queue", commands);
    return resumed?.changes === 1;
  }

  async paused(limit: number): Promise<readonly Pause[]> {
    const [found] = await this.#pool.run("list pauses", [command(pausedText, limit)]);
    return (found?.rows ?? []).map((row) => ({
      queue: String(row["queue"]),
      key: typeof row["key"] === "string" ? row["key"] : null,
      pausedAt: Number(row["paused_at"]),
    }));
  }
}
