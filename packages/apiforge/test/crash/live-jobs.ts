import type { Deployment } from "@apiforge/testing";

/** Whether every job of the deployment has ended, completed or dead; or every one up to number `last`. */
export function hasNoLiveJob(
  deployment: Deployment,
  last: number = Number.MAX_SAFE_INTEGER,
): Promise<boolean> {
  return deployment.inspect(async (raw) => {
    const live = "select count(*) as rows from forge_jobs where state < 3 and n <= $1";
    const [row] = await raw.all(live, [last]);
    return row?.["rows"] === 0;
  });
}

/** The number of the job that was enqueued last. */
export function newestJob(deployment: Deployment): Promise<number> {
  return deployment.inspect(async (raw) => {
    const [row] = await raw.all("select coalesce(max(n), 0) as n from forge_jobs");
    return Number(row?.["n"]);
  });
}
