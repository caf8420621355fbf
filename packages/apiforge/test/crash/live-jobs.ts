import type { Deployment } from "@apiforge/testing";

import { jobRows } from "./job-rows.ts";

/** Whether every job of the deployment has ended, completed or dead; or every one up to number `last`. */
export function hasNoLiveJob(
  deployment: Deployment,
  last: number = Number.MAX_SAFE_INTEGER,
): Promise<boolean> {
  return deployment.inspect(async (raw) => {
    const live = `select 1 from ${jobRows(deployment.store)} where state < 3 and n <= $1 limit 1`;
    return (await raw.all(live, [last])).length === 0;
  });
}

/** The number of the job that was enqueued last. */
export function newestJob(deployment: Deployment): Promise<number> {
  return deployment.inspect(async (raw) => {
    const newest = `select coalesce(max(n), 0) as n from ${jobRows(deployment.store)}`;
    const [row] = await raw.all(newest);
    return Number(row?.["n"]);
  });
}
