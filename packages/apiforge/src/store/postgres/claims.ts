import { randomInt } from "node:crypto";

import type { Clock } from "../../kernel/index.ts";
import type { ClaimedJob } from "../contract.ts";
import {
  claimedColumns,
  claimedLaneColumns,
  deadlineExceededError,
  dueState,
  rateHorizonUs,
  toClaimedJob,
} from "../job-row.ts";
import { command, type Command } from "./command.ts";
import { now } from "./job-statements.ts";
import { countingLanes, nowUs, openLane, wakeLanes } from "./lanes.ts";
import { dissolveLeases } from "./packs.ts";
import { isPack, toReadyJobs } from "./pack-reads.ts";
import type { ConnectionPool } from "./pool.ts";

/** How long the leases of a claim whose answer was lost are looked for: it may be committed late. */
const lostClaimMs = 60_000;
const fenceLimit = 2 ** 48 - 1;
const promoteLimit = 1_000;
const expireLimit = 1_000;
/** Most packs that one statement takes from. */
const packsPerClaim = 32;
const greatestPriority = "2147483647";
const greatestNumber = "9223372036854775807";

const promoteText = countingLanes(
  `update forge_jobs set state = ${dueState} where n = any(array(
     select n from forge_jobs where state = 0 and run_at <= ${now}
     order by run_at limit ${promoteLimit} for update skip locked))
   returning queue, lane, 0 as running, 1 as waiting, null::bigint as next_at`,
  "select 1 from changed limit 0",
);
// What it was before says whether its lane counted it.
const expireText = countingLanes(
  `update forge_jobs job set state = 4, finished_at = forge_now(),
     last_error = '${deadlineExceededError}'
   from (select n, state from forge_jobs
     where deadline_at is not null and state < 2 and deadline_at <= ${now}
     order by deadline_at limit ${expireLimit} for update skip locked) late
   where job.n = late.n
   returning job.queue, job.lane, 0 as running,
     case late.state when -1 then -1 else 0 end as waiting, null::bigint as next_at`,
  "select 1 from changed limit 0",
);
const lease =
  "update forge_jobs set state = 2, attempt = attempt + 1, fence = $3, lease_owner = $1";
// Most have none, and the clock is asked for each that has.
const leased = `returning ${claimedColumns},
   case when deadline_at is not null then deadline_at - forge_now() end as deadline_in_ms`;
const leasedOthers = `${leased}, ${claimedLaneColumns}`;
const unexpired = `(deadline_at is null or deadline_at > ${now})`;
const unpaused = "not exists (select from forge_paused_queues where queue = $2)";
// An array in place of a join: the planner then reads the picked rows by their key, and picks once.
const ready = `select n, priority from forge_jobs
     where queue = $2 and state = 1 and deaths = 0 and ${unexpired} and ${unpaused}`;
const openPack = `forge_job_packs where queue = $2 and taken < count and ${unpaused}`;
// In order: the rows before the first pack that nobody else is at, and packs up to the next row.
// As many packs are locked as the first of the queue would need, so that others find theirs.
const readyText = `with open as materialized (
     select n, priority, taken, count, type, tenant, max_attempts, request_id, jobs, traceparent
     from ${openPack}
     order by priority, n limit (
       select count(*) from (
         select sum(count - taken) over (order by priority, n) - (count - taken) as jobs_before from (
           select * from ${openPack} order by priority, n limit ${packsPerClaim}) pack
       ) sized where jobs_before < $4)
     for update skip locked
   ), bound as materialized (
     select priority, n + taken as n from open order by priority, n limit 1
   ), claimed as (
     ${lease}
     where n = any(array(
       select n from (${ready} and (priority, n) < (
           coalesce((select priority from bound), ${greatestPriority}),
           coalesce((select n from bound), ${greatestNumber}))
         order by priority, n limit $4 for update skip locked) job))
     ${leased}
   ), next_row as materialized (
     ${ready} and (priority, n) > ((select priority from bound), (select n from bound))
     order by priority, n limit 1
   ), sized as materialized (
     select *, n + taken as first, least(count - taken,
       $4 - (select count(*) from claimed)
         - (sum(count - taken) over (order by priority, n) - (count - taken)))::integer as share
     from open
   ), chosen as materialized (
     select * from sized where share > 0 and not exists (
       select from next_row where (next_row.priority, next_row.n) < (sized.priority, first))
   ), given as (
     update forge_job_packs pack set taken = pack.taken + share
     from chosen where pack.n = chosen.n and pack.n = any(array(select n from chosen))
   ), leases as (
     insert into forge_pack_leases (n, last_n, pack, owner, token, unended)
     select first, first + share - 1, n, $1, $3, share from chosen
   )
   select claimed.*, null::integer as share, null::bigint as pack from claimed
   union all
   select first, null, $2, type, tenant, jobs, 1, max_attempts, request_id, -first, priority,
     traceparent, null, share, n from chosen`;
const holdsSuspect =
  "exists (select from forge_jobs where state = 2 and lease_owner = $1 and deaths > 0)";
const suspectText = `${lease}
   where n = any(array(
     select n from forge_jobs where queue = $2 and state = 1 and deaths > 0 and ${unexpired}
       and ${unpaused} and not ${holdsSuspect}
     order by priority, n limit 1 for update skip locked))
   ${leasedOthers}`;
// Every lane its equal share first; what that leaves goes to the first that have more.
const lanesText = `with lane as materialized (
     select key, turn, spacing_us, waiting, concurrency - running as free,
       greatest(next_at_us, ${nowUs}) as start_at_us
     from forge_lanes where queue = $2 and ${openLane} and ${unpaused}
     order by turn limit $4 for update skip locked
   ), able as (
     select *, least(waiting, free, $4, case spacing_us when 0 then $4
       else greatest(0, (${nowUs} + ${rateHorizonUs - 1} - start_at_us) / spacing_us + 1) end
       ) as capacity
     from lane
   ), fair as (
     select *, least(capacity, $4 / count(*) over ()) as share from able
   ), rest as (
     select *, $4 - sum(share) over () as spare,
       sum(capacity - share) over (order by turn) - (capacity - share) as wanted_before
     from fair
   ), picked as materialized (
     select job.*, rest.key, rest.turn, rest.spacing_us, rest.start_at_us
     from rest cross join lateral (
       select n, priority, deaths from forge_jobs
       where queue = $2 and lane = rest.key and state = -1 and ${unexpired}
       order by priority, n
       limit share + greatest(0, least(capacity - share, spare - wanted_before))
       for update skip locked
     ) job
   ), admitted as materialized (
     select *, row_number() over (partition by key order by priority, n) - 1 as place
     from (
       select *, row_number() over (partition by deaths > 0 order by turn, priority, n) as suspect
       from picked
     ) ranked
     where deaths = 0 or (suspect = 1 and not ${holdsSuspect})
   ), claimed as (
     ${lease} where n = any(array(select n from admitted)) ${leasedOthers}
   ), taken as (
     select key, picked.spacing_us, picked.start_at_us, count(admitted.n)::integer as jobs
     from picked left join admitted using (n, key)
     group by key, picked.spacing_us, picked.start_at_us
   ), served as (
     update forge_lanes lane set
       running = lane.running + jobs,
       waiting = lane.waiting - jobs,
       next_at_us = start_at_us + jobs * taken.spacing_us,
       resting = case when start_at_us + jobs * taken.spacing_us > ${nowUs} then 1 else 0 end,
       turn = nextval('forge_lane_turns')
     from taken
     where lane.queue = $2 and lane.key = taken.key
       and lane.key = any(array(select key from taken))
   )
   select claimed.*,
     case when spacing_us > 0
       then ceil((start_at_us + place * spacing_us - ${nowUs}) / 1000.0)::bigint
     end as start_in_ms
   from claimed join admitted using (n) order by turn, place`;
const releaseText = countingLanes(
  `update forge_jobs set state = ${dueState}, lease_owner = null, attempt = attempt - 1
   where state = 2 and lease_owner = $1 and fence = any($2::bigint[])
   returning queue, lane, -1 as running, 1 as waiting, null::bigint as next_at`,
  "select 1 from changed limit 0",
);
const othersText = `select
   exists (select from forge_lanes where queue = $2 and ${openLane}) as lanes,
   exists (select from forge_jobs where queue = $2 and state = 1 and deaths > 0)
     and not ${holdsSuspect} as suspects`;

/** Makes up to 1,000 due jobs of any queue wait for their turn. */
export const promoteDue = command(promoteText);

/** Buries up to 1,000 jobs of any queue whose deadline came before their attempt. */
const expireLate = command(expireText);

/**
 * Leases ready jobs that have no key under `fence`, packs under the numbers of their first jobs; it
 * may stop at a row that comes after packs. See {@link toReadyJobs} for the answer.
 */
export function claimReady(queue: string, owner: string, limit: number, fence: number): Command {
  return command(readyText, owner, queue, fence, limit);
}

/** Leases jobs of the lanes that have room, as {@link claimReady}. */
export function claimLanes(queue: string, owner: string, limit: number, fence: number): Command {
  return command(lanesText, owner, queue, fence, limit);
}

/** What of a queue waits beside its ready jobs. */
interface Others {
  readonly lanes: boolean;
  readonly suspects: boolean;
}

/** A claim that may be committed though its answer never came. */
interface LostClaim {
  readonly owner: string;
  readonly fence: number;
  readonly lostAt: number;
}

/** What one claim asks for. */
interface Wish {
  readonly queue: string;
  readonly owner: string;
  readonly limit: number;
  readonly keyedLimit: number;
  /** What is to be done before the first claim, and taken out by it. */
  readonly upkeep: Command[];
}

/**
 * Leasing jobs. Those without a key take one round trip, which also tells whether there are others;
 * lanes and suspects take another, and only where there are some.
 */
export class ClaimTable {
  readonly #pool: ConnectionPool;
  readonly #clock: Clock;
  /** What the last claim of a queue saw. */
  readonly #others = new Map<string, Others>();
  /** Queues whose next claim begins with the others. */
  readonly #othersFirst = new Set<string>();
  #lostClaims: readonly LostClaim[] = [];

  constructor(pool: ConnectionPool, clock: Clock) {
    this.#pool = pool;
    this.#clock = clock;
  }

  async claim(
    queue: string,
    owner: string,
    limit: number,
    keyedLimit: number,
  ): Promise<readonly ClaimedJob[]> {
    const upkeep = [...this.#releaseLost(owner), promoteDue, expireLate, wakeLanes];
    const wish = { queue, owner, limit, keyedLimit, upkeep };
    const ready = (): Promise<readonly ClaimedJob[]> => this.#claimReady(wish, claimed.length);
    const others = (): Promise<readonly ClaimedJob[]> => this.#claimOthers(wish, claimed);
    const isOthersTurn = this.#othersFirst.delete(queue);
    if (!isOthersTurn) this.#othersFirst.add(queue);
    const claimed: ClaimedJob[] = [];
    // The last step sees what became ready or open meanwhile, so that nothing is left where there was room.
    for (const step of isOthersTurn ? [others, ready, others] : [ready, others]) {
      try {
        claimed.push(...(await step()));
      } catch (error) {
        // Jobs that are leased already are not lost with a failure.
        if (claimed.length > 0) return claimed;
        throw error;
      }
    }
    return claimed;
  }

  async #claimReady(wish: Wish, taken: number): Promise<readonly ClaimedJob[]> {
    const { queue, owner, limit, upkeep } = wish;
    if (taken >= limit) return [];
    const results = await this.#send(owner, (fence) => [
      ...upkeep.splice(0),
      claimReady(queue, owner, limit - taken, fence),
      command(othersText, owner, queue),
    ]);
    const [seen] = results.at(-1)?.rows ?? [];
    const others = { lanes: seen?.["lanes"] === true, suspects: seen?.["suspects"] === true };
    if (others.lanes || others.suspects) this.#others.set(queue, others);
    else this.#others.delete(queue);
    const rows = results.at(-2)?.rows ?? [];
    const jobs = toReadyJobs(rows);
    // Rows may come after these packs, and packs after these rows.
    if (jobs.length === 0 || !rows.some(isPack)) return jobs;
    return [...jobs, ...(await this.#claimMore(wish, taken + jobs.length))];
  }

  async #claimMore(wish: Wish, taken: number): Promise<readonly ClaimedJob[]> {
    try {
      return await this.#claimReady(wish, taken);
    } catch {
      // What is leased already is not lost with a failure; the next claim meets it again.
      return [];
    }
  }

  async #claimOthers(
    { queue, owner, limit, keyedLimit, upkeep }: Wish,
    claimed: readonly ClaimedJob[],
  ): Promise<readonly ClaimedJob[]> {
    const others = this.#others.get(queue);
    const room = limit - claimed.length;
    if (others === undefined || room <= 0) return [];
    const keyed = keyedLimit - claimed.filter(({ key }) => key !== null).length;
    const lanes = Math.min(keyed, others.suspects ? room - 1 : room);
    const results = await this.#send(owner, (fence) => [
      ...upkeep.splice(0),
      ...(others.suspects ? [command(suspectText, owner, queue, fence)] : []),
      ...(others.lanes && lanes > 0 ? [claimLanes(queue, owner, lanes, fence)] : []),
    ]);
    // Statements of the upkeep answer no rows.
    return results.flatMap(({ rows }) => rows.map(toClaimedJob));
  }

  async #send(owner: string, commands: (fence: number) => readonly Command[]) {
    // Chosen here, not counted up there: the leases can be named even when the answer is lost.
    const fence = randomInt(1, fenceLimit);
    const sent = commands(fence);
    if (sent.length === 0) return [];
    try {
      return await this.#pool.run("claim jobs", sent);
    } catch (error) {
      this.#lostClaims = [...this.#lostClaims, { owner, fence, lostAt: this.#clock.now() }];
      throw error;
    }
  }

  /** Gives back what lost claims leased: nobody runs it, and its owner lives. */
  #releaseLost(owner: string): readonly Command[] {
    const oldest = this.#clock.now() - lostClaimMs;
    this.#lostClaims = this.#lostClaims.filter((claim) => claim.lostAt >= oldest);
    const fences = this.#lostClaims
      .filter((claim) => claim.owner === owner)
      .map((claim) => claim.fence);
    if (fences.length === 0) return [];
    const condition = "owner = $2 and token = any($3::bigint[])";
    return [
      ...dissolveLeases(condition, [owner, fences], "released"),
      command(releaseText, owner, fences),
    ];
  }
}
