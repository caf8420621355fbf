import {
  createDeployment,
  eventually,
  findBrokenPromises,
  findUnfinishedJobs,
  projectIdOf,
  startSandboxProcess,
  storeNames,
  type Deployment,
  type PausePoint,
  type SandboxProcess,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { hasNoLiveJob } from "./live-jobs.ts";
import { ProjectWriter } from "./project-writer.ts";

interface CrashCase {
  readonly point: PausePoint["point"];
  /** How many of the projects are committed when the process stands still at the point. */
  readonly committed: "none" | "some";
  /** False for the points of a request: then nothing but requests commits, and the first is one. */
  readonly runsJobs: boolean;
}

const cases: readonly CrashCase[] = [
  { point: "after-accept", committed: "none", runsJobs: false },
  { point: "before-commit", committed: "none", runsJobs: false },
  { point: "after-commit", committed: "some", runsJobs: false },
  { point: "after-claim", committed: "some", runsJobs: true },
  { point: "mid-handler", committed: "some", runsJobs: true },
  { point: "before-ack", committed: "some", runsJobs: true },
];

const projects = 6;
// The next process on an SQLite file knows at once that the one before is dead. On PostgreSQL a lease
// ends 10 s after its owner's last heartbeat, and is looked for every 3 s.
const jobsDeadlineMs = { sqlite: 6_000, postgres: 20_000 } as const;

let sandbox: SandboxProcess;
beforeAll(async () => {
  sandbox = await startSandboxProcess();
});
afterAll(() => sandbox.stop());

// Most of each test is waiting, so those of both stores run side by side.
describe.concurrent.for(storeNames)("%s", (store) => {
  test.for(cases)(
    "a kill at $point loses nothing and doubles nothing",
    { timeout: 180_000 },
    async (crash, { expect }) => {
      await using deployment = await createDeployment({
        store,
        postgresUrl: postgresUrl(),
        sandbox,
      });
      const token = await deployment.token({ sub: "usr_crash" });
      let url = "";
      await using writer = new ProjectWriter(token, () => url);

      const first = await deployment.start({
        pauseAt: { point: crash.point },
        env: crash.runsJobs ? {} : { APIFORGE_JOB_CONCURRENCY: "0" },
      });
      url = first.url;
      const sending = Array.from({ length: projects }, () => writer.send());
      await first.waitForPause();
      await first.kill9();
      await Promise.all(sending);

      const { acknowledged } = writer;
      const denseLog = store === "sqlite";
      expect(
        await deployment.inspect((raw) => findBrokenPromises(raw, { acknowledged, denseLog })),
      ).toEqual([]);
      const rows = await projectRows(deployment);
      if (crash.committed === "none") expect(rows).toBe(0);
      else expect(rows).toBeGreaterThan(0);

      const second = await deployment.start();
      url = second.url;
      await writer.retryUnanswered();
      await eventually(
        "every job has ended",
        () => hasNoLiveJob(deployment),
        jobsDeadlineMs[store],
      );
      await writer.replayAll();
      await second.stop();

      await deployment.inspect(async (raw) => {
        expect(await findBrokenPromises(raw, { acknowledged, denseLog })).toEqual([]);
        expect(await findUnfinishedJobs(raw)).toEqual([]);
      });
      expect(await projectRows(deployment)).toBe(projects);
      const alerted = await alertedProjects();
      const created = acknowledged.map((answer) => projectIdOf(answer.body));
      expect(created.filter((id) => !alerted.has(id))).toEqual([]);
    },
  );

  test(
    "an alert that was delivered and not acknowledged is delivered again, not lost",
    { timeout: 180_000 },
    async ({ expect }) => {
      await using deployment = await createDeployment({ store, postgresUrl: postgresUrl() });
      const { sandbox } = deployment;
      const token = await deployment.token({ sub: "usr_crash" });
      let url = "";
      await using writer = new ProjectWriter(token, () => url);

      const first = await deployment.start();
      url = first.url;
      await sandbox.setSlackFault({ kind: "slow", delayMs: 60_000 });
      await writer.sendUntilAcknowledged();
      await eventually("Slack has it", async () => (await sandbox.slackDeliveries()).length === 1);
      await first.kill9();
      await sandbox.clearSlackFault();

      const second = await deployment.start();
      url = second.url;
      await eventually(
        "every job has ended",
        () => hasNoLiveJob(deployment),
        jobsDeadlineMs[store],
      );
      await second.stop();
      expect(await deployment.inspect(findUnfinishedJobs)).toEqual([]);
      const ids = (await sandbox.slackDeliveries()).map(({ body }) => projectIdOf(body));
      expect(ids).toHaveLength(2);
      expect(new Set(ids).size).toBe(1);
    },
  );
});

test("every named point has its case", () => {
  // What a schedule does before its commit is in schedules.test.ts, what a gateway does in
  // gateway/idempotency-crash.test.ts.
  type Elsewhere = "after-tick" | "upstream-answered" | "upstream-recorded";
  const points: Record<Exclude<PausePoint["point"], Elsewhere>, true> = {
    "after-accept": true,
    "before-commit": true,
    "after-commit": true,
    "after-claim": true,
    "mid-handler": true,
    "before-ack": true,
  };
  expect(cases.map(({ point }) => point).sort()).toEqual(Object.keys(points).sort());
});

function projectRows(deployment: Deployment): Promise<number> {
  return deployment.inspect(async (raw) => {
    const [row] = await raw.all("select count(*) as rows from projects");
    return Number(row?.["rows"]);
  });
}

async function alertedProjects(): Promise<Set<string>> {
  const deliveries = await sandbox.slackDeliveries();
  return new Set(deliveries.filter(({ posted }) => posted).map(({ body }) => projectIdOf(body)));
}
