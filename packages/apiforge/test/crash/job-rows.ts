import type { StoreName } from "@apiforge/testing";

/** A store keeps jobs of one kind that one commit enqueued as one row; these are the jobs in it. */
const packedJobs = {
  sqlite: `select pack.n + item.key as n, item.value ->> 0 as id, pack.type, pack.created_at,
      case when ended.n is null then 1 else 3 end as state
    from forge_job_packs pack join forge_pack_items items on items.n = pack.n,
      json_each(items.jobs) item
    left join forge_pack_ends ended on pack.n + item.key between ended.n and ended.last_n
    where ended.n is null or ended.finished_at is not null`,
  // The pack speaks for a job that has no row, and that waits there, is leased or has ended there.
  postgres: `select job.n, job.id, job.type, job.created_at,
      case when ended.n is null then 1 else 3 end as state
    from (
      select pack.n + place - 1 as n, item ->> 0 as id, type, created_at, place > taken as waits
      from forge_job_packs pack
        cross join lateral json_array_elements(jobs::json) with ordinality as items (item, place)
      where place <= pack.count
    ) job
    left join forge_pack_ends ended on job.n between ended.n and ended.last_n
    where not exists (select from forge_jobs where n = job.n)
      and case when ended.n is not null then ended.finished_at is not null else waits or exists (
        select from forge_pack_leases lease where job.n between lease.n and lease.last_n) end`,
};

/** A FROM item of all jobs with n, id, type, created_at and state, as a stranger's connection sees them; what runs in a pack counts as ready. */
export function jobRows(store: StoreName): string {
  const rows = "select n, id, type, created_at, state from forge_jobs";
  return `(${rows} union all ${packedJobs[store]}) job`;
}
