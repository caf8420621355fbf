import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createDeployment, eventually, storeNames, type Deployment } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { expect, test } from "vitest";

import { hasNoLiveJob } from "./live-jobs.ts";
import { announcedSeed, seededRandom } from "./seeded-random.ts";

const entry = fileURLToPath(new URL("./servers/kind-server.ts", import.meta.url));
const jobs = 3_000;
const kills = 3;
// A server lives for any time, never a fixed one; the work outlasts all of them.
const longestLifeMs = 250;
// Each takeover may have to wait for the heartbeat of a dead process to expire.
const workDeadlineMs = 90_000;

test.for(storeNames)(
  "every job of a kind is completed once, though its processes are killed: %s",
  { timeout: 150_000 },
  async (store) => {
    const random = seededRandom(announcedSeed(`kinds on ${store}`));
    await using deployment = await createDeployment({ store, postgresUrl: postgresUrl(), entry });
    let server = await deployment.start();
    const answer = await fetch(`${server.url}/work`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": "work" },
      body: JSON.stringify({ jobs }),
    });
    expect(answer.status).toBe(202);
    for (let kill = 0; kill < kills; kill += 1) {
      const { pid } = server;
      await eventually("it works", () => hasCounted(deployment, pid), workDeadlineMs);
      await delay(random() * longestLifeMs);
      await server.kill9();
      expect(await broken(deployment)).toEqual([]);
      server = await deployment.start();
    }
    await eventually("all jobs have ended", () => hasNoLiveJob(deployment), workDeadlineMs);
    await server.stop();
    const counted = await deployment.inspect((raw) =>
      raw.all("select n, count(*) as times from counted group by n order by n"),
    );
    // What commits with its completion has its effect once.
    const odd = Array.from({ length: jobs / 2 }, (_, index) => ({ n: 2 * index + 1, times: 1 }));
    expect(counted).toEqual(odd);
    // Nothing was given up: three processes died, five are too many.
    const dead = await deployment.inspect((raw) =>
      raw.all("select id from forge_jobs where state = 4"),
    );
    expect(dead).toEqual([]);
  },
);

async function hasCounted(deployment: Deployment, pid: number): Promise<boolean> {
  return deployment.inspect(async (raw) => {
    return (await raw.all(`select 1 from counted where pid = ${pid} limit 1`)).length > 0;
  });
}

/** What is broken of the database itself, right after a kill. */
function broken(deployment: Deployment): Promise<string[]> {
  return deployment.inspect((raw) => raw.integrityCheck());
}
