import type { StoreName } from "@apiforge/testing";

/** SQLite keeps jobs of one kind that one commit enqueued as one row; these are the jobs in it. */
const packedJobs = `select item.value ->> 0 as id, pack.type, pack.created_at,
    case when ended.n is null then 1 else 3 end as state
  from forge_job_packs pack join forge_pack_items items on items.n = pack.n,
    json_each(items.jobs) item
  left join forge_pack_ends ended on pack.n + item.key between ended.n and ended.last_n
  where ended.n is null or ended.finished_at is not null`;

/** A FROM item of all jobs with id, type, created_at and state, as a stranger's connection sees them; what runs in a pack counts as ready. */
export function jobRows(store: StoreName): string {
  const rows = "select id, type, created_at, state from forge_jobs";
  return store === "sqlite" ? `(${rows} union all ${packedJobs}) job` : `(${rows}) job`;
}
