import type { Deployment } from "@apiforge/testing";

const rows = {
  live: "select count(*) as jobs from forge_jobs where state < 3 and n <= $1",
  newest: "select coalesce(max(n), 0) as n from forge_jobs",
};
/** SQLite keeps jobs of one kind that one commit enqueued as one row. */
const packs = {
  live: "select coalesce(sum(unended), 0) as jobs from forge_job_packs where n <= $1",
  newest: "select coalesce(max(n + count - 1), 0) as n from forge_job_packs",
};

/** Whether every job of the deployment has ended, completed or dead; or every one up to number `last`. */
export function hasNoLiveJob(
  deployment: Deployment,
  last: number = Number.MAX_SAFE_INTEGER,
): Promise<boolean> {
  return deployment.inspect(async (raw) => {
    const kept = deployment.store === "sqlite" ? `${rows.live} union all ${packs.live}` : rows.live;
    const counts = await raw.all(kept, [last]);
    return counts.every(({ jobs }) => jobs === 0);
  });
}

/** The number of the job that was enqueued last. */
export function newestJob(deployment: Deployment): Promise<number> {
  return deployment.inspect(async (raw) => {
    const kept =
      deployment.store === "sqlite" ? `${rows.newest} union all ${packs.newest}` : rows.newest;
    const numbers = await raw.all(kept);
    return Math.max(...numbers.map(({ n }) => Number(n)));
  });
}
