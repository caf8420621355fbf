import {
  createDeployment,
  eventually,
  findBrokenPromises,
  findUnfinishedJobs,
  type Deployment,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { expect, test } from "vitest";

import { hasNoLiveJob } from "./live-jobs.ts";
import { ProjectWriter } from "./project-writer.ts";

// The contract: 10 s without a heartbeat make a process dead, and every other looks each 3 s. Real
// time, because two processes and the database have no clock in common that a test could move.
const takeoverDeadlineMs = 15_000;
const projects = 30;

test("one of two servers is killed: the other finishes its jobs within 15 s", async () => {
  await using deployment = await createDeployment({
    store: "postgres",
    postgresUrl: postgresUrl(),
  });
  const { sandbox } = deployment;
  const token = await deployment.token({ sub: "usr_crash" });
  const killed = await deployment.start();
  const [owner = ""] = await workers(deployment);
  const survivor = await deployment.start();
  expect(await workers(deployment)).toHaveLength(2);

  let url = killed.url;
  await using writer = new ProjectWriter(token, () => url);
  await sandbox.setSlackFault({ kind: "slow", delayMs: 3_000 });
  await Promise.all(Array.from({ length: projects }, () => writer.send()));
  await eventually("it has jobs", async () => (await runningJobs(deployment, owner)) > 0);
  await killed.kill9();
  expect(await runningJobs(deployment, owner)).toBeGreaterThan(0);
  await sandbox.clearSlackFault();
  url = survivor.url;

  await eventually("every job has ended", () => hasNoLiveJob(deployment), takeoverDeadlineMs);
  await writer.retryUnanswered();
  await eventually("and those of the retries", () => hasNoLiveJob(deployment));
  await writer.replayAll();
  await survivor.stop();
  await deployment.inspect(async (raw) => {
    const { acknowledged } = writer;
    expect(await findBrokenPromises(raw, { acknowledged, denseLog: false })).toEqual([]);
    expect(await findUnfinishedJobs(raw)).toEqual([]);
  });
}, 60_000);

test("both servers under load: one key has one effect, whichever is asked", async () => {
  await using deployment = await createDeployment({
    store: "postgres",
    postgresUrl: postgresUrl(),
  });
  const token = await deployment.token({ sub: "usr_crash" });
  const [first, second] = await Promise.all([deployment.start(), deployment.start()]);
  await using one = new ProjectWriter(token, () => first.url);
  await using other = new ProjectWriter(token, () => second.url);
  const keys = Array.from({ length: 50 }, (_, index) => `key-${index}`);
  await Promise.all(
    keys.flatMap((key) => [one.sendUntilAcknowledged(key), other.sendUntilAcknowledged(key)]),
  );
  const acknowledged = [...one.acknowledged, ...other.acknowledged];
  await eventually("every job has ended", () => hasNoLiveJob(deployment));
  await Promise.all([first.stop(), second.stop()]);
  await deployment.inspect(async (raw) => {
    expect(await findBrokenPromises(raw, { acknowledged, denseLog: false })).toEqual([]);
    expect(await findUnfinishedJobs(raw)).toEqual([]);
    expect(await raw.all("select count(*) as rows from projects")).toEqual([{ rows: keys.length }]);
  });
}, 60_000);

async function workers(deployment: Deployment): Promise<string[]> {
  return deployment.inspect(async (raw) => {
    const rows = await raw.all("select owner from forge_workers");
    return rows.map((row) => String(row["owner"]));
  });
}

async function runningJobs(deployment: Deployment, owner: string): Promise<number> {
  return deployment.inspect(async (raw) => {
    const [row] = await raw.all(
      "select count(*) as rows from forge_jobs where state = 2 and lease_owner = $1",
      [owner],
    );
    return Number(row?.["rows"]);
  });
}
