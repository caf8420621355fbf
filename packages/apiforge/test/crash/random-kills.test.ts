import { setTimeout as delay } from "node:timers/promises";
import {
  createDeployment,
  eventually,
  findBrokenPromises,
  findUnfinishedJobs,
  projectIdOf,
  storeNames,
  type Deployment,
  type ReadyServer,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { describe, test } from "vitest";

import { hasNoLiveJob, newestJob } from "./live-jobs.ts";
import { startLoad } from "./load.ts";
import { ProjectWriter } from "./project-writer.ts";
import { announcedSeed, seededRandom } from "./seeded-random.ts";

const isLong = process.env["APIFORGE_CRASH_LONG"] === "1";
const kills = isLong ? 30 : 2;
const clients = 4;
// How long a server lives under load, and how long a client thinks: any length, never a fixed one.
const longestLifeMs = 800;
const longestThinkMs = 40;
const jobsDeadlineMs = 30_000;

describe.concurrent.for(storeNames)("%s", (store) => {
  test(
    `${kills} kills at random moments under load`,
    { timeout: isLong ? 600_000 : 90_000 },
    async ({ expect }) => {
      const random = seededRandom(announcedSeed(`random kills, ${store}`));
      await using deployment = await createDeployment({ store, postgresUrl: postgresUrl() });
      const token = await deployment.token({ sub: "usr_crash" });
      let server: ReadyServer = await deployment.start();
      await using writer = new ProjectWriter(token, () => server.url);
      const { acknowledged } = writer;
      const invariants = { acknowledged, denseLog: store === "sqlite" };
      const alerted = new Set<string>();

      const load = startLoad(writer, clients, () => random() * longestThinkMs);
      for (let kill = 1; kill <= kills; kill += 1) {
        await delay(random() * longestLifeMs);
        await server.kill9();
        await collectAlerts(deployment, alerted);
        const broken = await deployment.inspect((raw) => findBrokenPromises(raw, invariants));
        expect(broken, `after kill ${kill}`).toEqual([]);
        const found = await newestJob(deployment);
        server = await deployment.start();
        // An alert whose process dies in each of its three attempts is dead, as it must be. So that
        // none meets three kills, every second server lives until it has ended what it found. On
        // PostgreSQL the leases of the dead outlive all of these servers: each job meets one kill.
        if (store === "sqlite" && kill % 2 === 0) {
          await eventually("what it found has ended", () => hasNoLiveJob(deployment, found));
        }
      }
      await load.stop();
      await eventually("every job has ended", () => hasNoLiveJob(deployment), jobsDeadlineMs);
      await writer.replayAll();
      await server.stop();

      await collectAlerts(deployment, alerted);
      await deployment.inspect(async (raw) => {
        expect(await findBrokenPromises(raw, invariants)).toEqual([]);
        expect(await findUnfinishedJobs(raw)).toEqual([]);
      });
      const created = acknowledged.map((answer) => projectIdOf(answer.body));
      expect(created.length).toBeGreaterThan(kills);
      expect(created.filter((id) => !alerted.has(id))).toEqual([]);
    },
  );
});

/** Takes what has arrived at Slack out of the sandbox, which keeps only the latest. No server runs. */
async function collectAlerts({ sandbox }: Deployment, alerted: Set<string>): Promise<void> {
  for (const { posted, body } of await sandbox.slackDeliveries()) {
    if (posted) alerted.add(projectIdOf(body));
  }
  await sandbox.clearSlack();
}
