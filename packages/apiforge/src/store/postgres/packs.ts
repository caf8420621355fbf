import { randomInt } from "node:crypto";

import type { JobLease, NewJob, Row } from "../contract.ts";
import { command, type Command } from "./command.ts";
import { arraySource, columnArrays } from "./rows.ts";

/*
 * A lease's row is the lock of its jobs. Whoever ends a run of them holds it FOR UPDATE; whoever
 * makes a row of one of them shares it (FOR KEY SHARE), and the key of `forge_jobs` lets only one do
 * so. The lock is a statement of its own, so that the next one sees what was committed before it.
 * Order of locks: packs, leases, rows of jobs, lanes.
 */

const insertText = `insert into forge_job_packs (n, queue, priority, count, type, tenant, max_attempts,
     request_id, created_at, first_id, last_id, jobs, traceparent)
   values (nextval('forge_jobs_n_seq'), $1, $2, $3, $4, $5, $6, $7, forge_now(), $8, $9, $10, $11)`;
/** The jobs of a pack `p` as `i`: `item` is [id, payload], `place` counts from 1. */
const packItems = "json_array_elements(p.jobs::json) with ordinality as i (item, place)";
/** Whether job `n` has ended in its pack, or its row was swept: ends never overlap, so the nearest tells. */
function endedText(n: string, first = n): string {
  return `coalesce((select last_n from forge_pack_ends where n <= ${n} order by n desc limit 1), 0) >= ${first}`;
}
const rowColumns = `n, id, queue, type, tenant, payload, state, priority, run_at, attempt, max_attempts,
     fence, lease_owner, request_id, created_at, traceparent, pack`;
function insertRowsText(
  source: string,
  { state, fence, owner }: { state: 1 | 2; fence: string; owner: string },
): string {
  return `insert into forge_jobs (${rowColumns}) overriding system value
   select p.n + i.place - 1, i.item ->> 0, p.queue, p.type, p.tenant, i.item ->> 1, ${state}, p.priority,
     p.created_at, ${state - 1}, p.max_attempts, ${fence}, ${owner}, p.request_id, p.created_at, p.traceparent,
     p.n
   from ${source}`;
}
const running = { state: 2, fence: "-l.n", owner: "l.owner" } as const;
const unpackText = `${insertRowsText(
  `forge_pack_leases l join forge_job_packs p on p.n = l.pack cross join lateral ${packItems}
   join ${arraySource(["bigint", "bigint"])} as wanted (n, lease)
     on wanted.lease = l.n and wanted.n = p.n + i.place - 1 and wanted.n between l.n and l.last_n
   where l.n = any($2::bigint[]) and not ${endedText("wanted.n")}`,
  running,
)} on conflict (n) do nothing`;
const shareText =
  "select 1 from forge_pack_leases where n = any($1::bigint[]) order by n for key share";
const ofTaken = `forge_pack_leases l join forge_job_packs p on p.n = l.pack cross join lateral ${packItems}
   where l.token = $1 and p.n + i.place - 1 between l.n and l.last_n
     and not ${endedText("p.n + i.place - 1")}`;
const unpackTakenText = `${insertRowsText(ofTaken, running)} on conflict (n) do nothing`;
const releaseTakenText = `${insertRowsText(ofTaken, { state: 1, fence: "0", owner: "null" })}
   on conflict (n) do nothing`;
const dropTakenText = "delete from forge_pack_leases where token = $1";
const takeFreeText = `update forge_pack_leases set token = $1 where n = any(array(
     select n from forge_pack_leases where n = any($2::bigint[]) order by n for update skip locked))`;
const completeText = `with run as materialized (
     select l.n as lease, l.pack, done.n, done.last_n
     from ${arraySource(["bigint", "bigint", "bigint"], 2)} as done (lease, n, last_n)
     join forge_pack_leases l on l.n = done.lease
       and l.token = $1 and done.n >= l.n and done.last_n <= l.last_n
     where not ${endedText("done.last_n", "done.n")}
       and not exists (select from forge_jobs where n between done.n and done.last_n)
   ), ended as (
     insert into forge_pack_ends (n, last_n, pack, finished_at)
     select n, last_n, pack, forge_now() from run
   ), counted as materialized (
     select lease, sum(last_n - n + 1)::integer as jobs from run group by lease
   ), over as (
     delete from forge_pack_leases l using counted where l.n = lease and l.unended <= jobs
   ), less as (
     update forge_pack_leases l set unended = l.unended - jobs
     from counted where l.n = lease and l.unended > jobs
   )
   select lease, n, last_n from run`;

/** Where a job of this id is in a pack: at most one row of `pack`, `n`, `place`, as the CTE `at`. */
export const atText = `at as materialized (
     select p.n as pack, p.n + i.place - 1 as n, i.place, i.item
     from forge_job_packs p cross join lateral ${packItems}
     where p.last_id >= $1 and p.first_id <= $1 and i.item ->> 0 = $1)`;
const leaseAt = `(select lease.n from at cross join lateral (
     select n, last_n from forge_pack_leases where n <= at.n order by n desc limit 1) lease
   where lease.last_n >= at.n)`;
const lockPackText = `with ${atText}
   select 1 from forge_job_packs where n = (select pack from at) for update`;
const scatterText = `with ${atText}, waits as materialized (
     select p.* from forge_job_packs p join at on at.pack = p.n
     where at.place > p.taken and at.place <= p.count
   ), emptied as (
     update forge_job_packs p set count = p.taken from waits where p.n = waits.n
   )
   ${insertRowsText(
     `waits p cross join lateral ${packItems} where i.place > p.taken and i.place <= p.count`,
     { state: 1, fence: "0", owner: "null" },
   )}`;
const shareAtText = `with ${atText} select 1 from forge_pack_leases where n = ${leaseAt} for key share`;
const unpackAtText = `with ${atText} ${insertRowsText(
  `at cross join lateral (select at.item, at.place) i join forge_job_packs p on p.n = at.pack
   join forge_pack_leases l on l.n = ${leaseAt} where not ${endedText("at.n")}`,
  running,
)} on conflict (n) do nothing`;

// A lease that other jobs left for rows is not counted down to 0.
const dropOverText = `delete from forge_pack_leases where n = any(array(
     select n from forge_pack_leases l where l.last_n - l.n + 1 =
       (select count(*) from generate_series(l.n, l.last_n) job (n)
        where exists (select from forge_jobs where n = job.n) or ${endedText("job.n")})
     for update skip locked)) returning pack`;
// Where a lease might speak for a job again, its end stays without an instant, as that of a swept row.
const sweepText = `with old as materialized (
     select n, last_n, last_n - n + 1 as jobs, finished_at, pack, exists (
       select from forge_pack_leases l where l.n between e.pack and e.pack + 511) as leased
     from forge_pack_ends e where finished_at < (select forge_now()) - $1::bigint
     order by finished_at, n limit $2 for update skip locked
   ), sized as materialized (
     select *, $2 - (sum(jobs) over (order by finished_at, n) - jobs) as room from old
   ), swept as materialized (
     select n, last_n, pack, finished_at, leased, jobs > room as cut,
       least(jobs, room)::integer as swept_jobs
     from sized where room > 0
   ), deleted as (
     delete from forge_pack_ends where n = any(array(select n from swept where not leased and not cut))
   ), shortened as (
     update forge_pack_ends e set n = e.n + swept_jobs from swept
     where e.n = swept.n and not leased and cut
   ), emptied as (
     update forge_pack_ends e set last_n = e.n + swept_jobs - 1, finished_at = null from swept
     where e.n = swept.n and leased
   ), rest as (
     insert into forge_pack_ends (n, last_n, pack, finished_at)
     select n + swept_jobs, last_n, pack, finished_at from swept where leased and cut
   )
   select pack, swept_jobs as jobs from swept`;
const emptyPack = `p.taken = p.count
     and not exists (select from forge_pack_leases where n between p.n and p.n + 511)
     and not exists (select from forge_pack_ends
       where n between p.n and p.n + 511 and finished_at is not null)`;
const dropPacksText = `with dropped as (
     delete from forge_job_packs p where n = any($1::bigint[]) and ${emptyPack} returning n)
   delete from forge_pack_ends e using dropped where e.n between dropped.n and dropped.n + 511`;

/**
 * Keeps the rest of a transaction from being compiled: how many jobs a run has is a guess of the
 * planner's, and compiling for it took 1,200 ms.
 */
export const withoutJit = command("select set_config('jit', 'off', true)");

/** Inserts `jobs`, which are all of one kind, as one pack. */
export function insertPack(jobs: readonly [NewJob, ...NewJob[]]): Command {
  const [{ queue, priority, type, tenant, maxAttempts, requestId, traceparent, id }] = jobs;
  let [firstId, lastId] = [id, id];
  for (const job of jobs) {
    if (job.id < firstId) firstId = job.id;
    else if (job.id > lastId) lastId = job.id;
  }
  const kind = [queue, priority, jobs.length, type, tenant, maxAttempts, requestId] as const;
  const items = JSON.stringify(jobs.map((job) => [job.id, job.payload]));
  return command(insertText, ...kind, firstId, lastId, items, traceparent);
}

/** True for a lease that a pack gave: its fence names the lease's row, and claims of rows have fences above 0. */
export function isPacked({ fence }: JobLease): boolean {
  return fence < 0;
}

/** Makes rows of leased jobs, which stay leased; nothing of those whose lease is over. */
export function unpack(leases: readonly JobLease[]): readonly Command[] {
  const packed = leases.filter(isPacked);
  if (packed.length === 0) return [];
  const rows = packed.map(({ n, fence }) => [n, -fence]);
  const [ns = [], names = []] = columnArrays(2, rows);
  return [command(shareText, names), command(unpackText, ns, names)];
}

/** Makes a row of the live job with this id; where it waits, of all that wait in its pack. */
export function unpackById(id: string): readonly Command[] {
  return [lockPackText, scatterText, shareAtText, unpackAtText].map((text) => command(text, id));
}

/**
 * Completes jobs, each named once, in runs of neighbours: answers those runs that were held
 * altogether. It passes over leases that a transaction under way shares.
 */
export function completeRuns(leases: readonly JobLease[]): readonly Command[] {
  if (leases.length === 0) return [];
  const runs = neighbours(leases);
  const [names = [], firsts = [], lasts = []] = columnArrays(3, runs);
  const token = newToken();
  return [command(takeFreeText, token, names), command(completeText, token, names, firsts, lasts)];
}

/** The jobs of an answer of {@link completeRuns}, as `n/fence`. */
export function completedNames(rows: readonly Row[]): readonly string[] {
  return rows.flatMap((row) => {
    const first = Number(row["n"]);
    const count = Number(row["last_n"]) - first + 1;
    return Array.from({ length: count }, (_, index) => `${first + index}/-${String(row["lease"])}`);
  });
}

/**
 * Ends leases of packs whose rows meet `condition`, which may use `$2`, `$3`, …: their jobs become rows, leased as
 * they were, or ready and as new (`released`).
 */
export function dissolveLeases(
  condition: string,
  values: Command["values"],
  become: "leased" | "released",
): readonly Command[] {
  const token = newToken();
  const take = `update forge_pack_leases set token = $1 where n = any(array(
     select n from forge_pack_leases where ${condition} order by n for update))`;
  return [
    command(take, token, ...values),
    command(become === "leased" ? unpackTakenText : releaseTakenText, token),
    command(dropTakenText, token),
  ];
}

/**
 * Deletes leases that are over, then up to `limit` jobs that completed in packs more than `olderThanMs`
 * ago. The last two answer the `pack` of each, and how many `jobs` of it were deleted.
 */
export function sweepEnds(olderThanMs: number, limit: number): readonly Command[] {
  return [withoutJit, command(dropOverText), command(sweepText, olderThanMs, limit)];
}

/** Deletes those of `packs` of which nothing is left. */
export function dropPacks(packs: readonly string[]): Command {
  return command(dropPacksText, packs);
}

function newToken(): number {
  return randomInt(1, 2 ** 48 - 1);
}

/** `leases`, each once, as runs of consecutive numbers under one name: it, the first and the last. */
function neighbours(leases: readonly JobLease[]): readonly (readonly [number, number, number])[] {
  const runs: [number, number, number][] = [];
  for (const { n, fence } of leases.toSorted((a, b) => a.n - b.n)) {
    const run = runs.at(-1);
    if (run?.[0] === -fence && n === run[2] + 1) run[2] = n;
    else runs.push([-fence, n, n]);
  }
  return runs;
}
