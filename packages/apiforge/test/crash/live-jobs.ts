import type { Deployment } from "@apiforge/testing";

/** Whether every job of the deployment has ended: completed or dead. */
export function hasNoLiveJob(deployment: Deployment): Promise<boolean> {
  return deployment.inspect(async (raw) => {
    const [row] = await raw.all("select count(*) as rows from forge_jobs where state < 3");
    return row?.["rows"] === 0;
  });
}
