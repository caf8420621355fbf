import type { ClaimedJob, Row } from "../contract.ts";
import { toClaimedJob } from "../job-row.ts";
import { command, type Command } from "./command.ts";
import { atText } from "./packs.ts";

const recordColumns = [
  ...["n", "id", "queue", "type", "tenant", "payload", "state", "priority", "run_at", "attempt"],
  ...["max_attempts", "created_at", "finished_at", "last_error", "dedupe_key", "request_id"],
  ...["lane", "deadline_at"],
].join();

/** Runs of neighbours in one state, by what says so; `filter` narrows each source. */
function runsText(filter: (source: "ready" | "leased" | "ended") => string): string {
  return `(select p.n + p.taken as n, p.n + p.count - 1 as last_n, p.n as pack, 1 as state,
       null::bigint as finished_at
     from forge_job_packs p where p.taken < p.count ${filter("ready")})
   union all
   (select run.n, run.last_n, run.pack, 2, null
     from forge_pack_leases run join forge_job_packs p on p.n = run.pack where true ${filter("leased")})
   union all
   (select run.n, run.last_n, run.pack, 3, run.finished_at
     from forge_pack_ends run join forge_job_packs p on p.n = run.pack
     where run.finished_at is not null ${filter("ended")})`;
}
// A lease stays though some of its jobs have ended or left for rows.
const speaks = `(run.state <> 2 or not exists (select from forge_jobs where n = job.n)
     and coalesce((select last_n from forge_pack_ends where n <= job.n order by n desc limit 1), 0) < job.n)`;

/** The record of `job.n`, of `run` in `p`, whose id and payload are `item`. */
function recordText(item: string): string {
  return `job.n, ${item} ->> 0 as id, p.queue, p.type, p.tenant, ${item} ->> 1 as payload,
     run.state::smallint as state, p.priority, p.created_at as run_at,
     case run.state when 1 then 0 else 1 end as attempt, p.max_attempts, p.created_at,
     run.finished_at, null::text as last_error, null::text as dedupe_key, p.request_id,
     null::text as lane, null::bigint as deadline_at`;
}

// One statement, so that a job that leaves its pack meanwhile is seen on one side.
const findText = `with ${atText}
   select ${recordColumns} from forge_jobs where id = $1
   union all
   select ${recordText("job.item")}
   from at job join forge_job_packs p on p.n = job.pack
   join lateral (${runsText((source) => `and p.n = job.pack ${source === "ready" ? "" : "and run.n <= job.n and run.last_n >= job.n"}`)}) run
     on job.n between run.n and run.last_n
   where ${speaks} and not exists (select from forge_jobs where n = job.n)`;
const states = { ready: 1, leased: 2, ended: 3 } as const;
const listText = `with run as materialized (${runsText(
  (source) => `and ($1::smallint is null or $1 = ${states[source]})
     and ($2::text is null or p.type = $2)
     ${source === "leased" ? "" : `order by ${source === "ready" ? "p.n" : "run.n"} desc limit $3`}`,
)}), packed as materialized (
     select job.n, run.pack, run.state, run.finished_at
     from run cross join lateral generate_series(run.n, run.last_n) job (n)
     where ${speaks} order by job.n desc limit $3
   )
   select * from (
     (select ${recordColumns} from forge_jobs
      where ($1::smallint is null or state = $1) and ($2::text is null or type = $2)
      order by n desc limit $3)
     union all
     select ${recordText("(p.jobs::json -> (job.n - p.n)::integer)")}
     from packed job join packed run on run.n = job.n join forge_job_packs p on p.n = job.pack
   ) both_kinds order by n desc limit $3`;

/** Reads the record of a job. */
export function findJob(id: string): Command {
  return command(findText, id);
}

/** Reads records, the newest first; null for any state or type. */
export function listJobs(state: number | null, type: string | null, limit: number): Command {
  return command(listText, state, type, limit);
}

/** True for a row of a claim that stands for `share` jobs of a pack. */
export function isPack(row: Row): boolean {
  return row["pack"] !== null;
}

/** The jobs that a claim answered, in the order in which they are to run. */
export function toReadyJobs(rows: readonly Row[]): readonly ClaimedJob[] {
  return rows
    .toSorted(
      (a, b) => Number(a["priority"]) - Number(b["priority"]) || Number(a["n"]) - Number(b["n"]),
    )
    .flatMap((row) => (isPack(row) ? toPackedJobs(row) : [toClaimedJob(row)]));
}

function toPackedJobs(row: Row): readonly ClaimedJob[] {
  const items: readonly (readonly [id: string, payload: string])[] = JSON.parse(
    String(row["payload"]),
  );
  const first = Number(row["n"]);
  const from = first - Number(row["pack"]);
  const common = toClaimedJob(row);
  return items.slice(from, from + Number(row["share"])).map(([id, payload], index) => {
    return { ...common, n: first + index, id, payload };
  });
}
