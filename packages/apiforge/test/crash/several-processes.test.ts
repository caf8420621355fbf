import {
  createDeployment,
  eventually,
  findBrokenPromises,
  findUnfinishedJobs,
  type ReadyServer,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { expect, test } from "vitest";

import { hasNoLiveJob } from "./live-jobs.ts";
import { startLoad } from "./load.ts";
import { ProjectWriter } from "./project-writer.ts";

const kills = 4;
const projectsBetweenKills = 40;
// Until another process takes the jobs of one that was killed; see two-servers.test.ts.
const takeoverDeadlineMs = 30_000;

/** The processes that have said that they serve, in the order in which they did. */
function pidsOf(server: ReadyServer): number[] {
  const lines = server.stdout().matchAll(/"pid":(\d+),"msg":"the process serves"/g);
  return [...lines].map(([, pid]) => Number(pid));
}

test("processes of one server are killed under load: nothing is lost, nothing is done twice, and a restart in between changes nothing", async () => {
  await using deployment = await createDeployment({
    store: "postgres",
    postgresUrl: postgresUrl(),
    env: { APIFORGE_PROCESSES: "2", APIFORGE_LOG_LEVEL: "info" },
  });
  const token = await deployment.token({ sub: "usr_crash" });
  const server = await deployment.start();
  await eventually("both serve", () => pidsOf(server).length === 2);
  await using writer = new ProjectWriter(token, () => server.url);
  const load = startLoad(writer, 8);
  const more = async (): Promise<void> => {
    const wanted = writer.acknowledged.length + projectsBetweenKills;
    await eventually("more projects", () => writer.acknowledged.length >= wanted);
  };
  for (let kill = 1; kill <= kills; kill += 1) {
    await more();
    // The one that has served for longest; the next kill meets the other one.
    process.kill(pidsOf(server).at(-2) ?? 0, "SIGKILL");
    const served = 2 + kill;
    await eventually("it is replaced", () => pidsOf(server).length === served);
  }
  await more();
  process.kill(server.pid, "SIGHUP");
  await server.waitForLine(/"all processes are replaced"/);
  await more();
  await load.stop();
  await writer.retryUnanswered();
  await eventually("every job has ended", () => hasNoLiveJob(deployment), takeoverDeadlineMs);
  await writer.replayAll();
  await server.stop();
  await deployment.inspect(async (raw) => {
    const { acknowledged } = writer;
    expect(await findBrokenPromises(raw, { acknowledged, denseLog: false })).toEqual([]);
    expect(await findUnfinishedJobs(raw)).toEqual([]);
    const keys = new Set(acknowledged.map(({ key }) => key));
    expect(await raw.all("select count(*) as rows from projects")).toEqual([{ rows: keys.size }]);
  });
}, 180_000);
