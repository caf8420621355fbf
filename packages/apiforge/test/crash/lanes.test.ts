import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createDeployment, eventually, type Deployment, type ReadyServer } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { expect, test } from "vitest";

import { hasNoLiveJob } from "./live-jobs.ts";
import { announcedSeed, seededRandom } from "./seeded-random.ts";

const entry = fileURLToPath(new URL("./servers/lane-server.ts", import.meta.url));
const narrowKeys = ["n1", "n2", "n3"];
const orderedKeys = ["o1", "o2", "o3"];
// At 100 ms a job, more work than the longest life of the first server.
const jobsPerKey = 30;
const concurrency = 2;
// A server lives for any time, never a fixed one; the work outlasts all of them.
const longestLifeMs = 500;
const kills = 3;
// Each takeover may have to wait for the heartbeat of a dead process to expire.
const workDeadlineMs = 60_000;

interface Run {
  readonly job: string;
  readonly key: string;
  readonly n: number;
  readonly begunAt: number;
  endedAt: number;
  /** Undefined when its process was killed. */
  phase: "failed" | "end" | undefined;
}

test("limits and order of keys hold while their processes are killed", async () => {
  const random = seededRandom(announcedSeed("lanes"));
  await using deployment = await createDeployment({
    store: "postgres",
    postgresUrl: postgresUrl(),
    entry,
  });
  const killedAt = new Map<number, number>();
  let servers = [await deployment.start(), await deployment.start()];
  await enqueueAll(servers);
  await eventually("the first to be killed has jobs", () => hasBegun(deployment, servers[0]?.pid));
  for (let kill = 0; kill < kills; kill += 1) {
    await delay(random() * longestLifeMs);
    const [killed, ...others] = servers;
    if (killed === undefined) throw new Error("There is no server to kill");
    await killed.kill9();
    killedAt.set(killed.pid, await databaseTime(deployment));
    servers = [...others, await deployment.start()];
  }
  await eventually("all jobs have ended", () => hasNoLiveJob(deployment), workDeadlineMs);
  await Promise.all(servers.map((server) => server.stop()));

  const runs = await observedRuns(deployment, killedAt);
  // At least one kill met jobs that ran, or nothing was shown.
  expect(runs.filter(({ phase }) => phase === undefined).length).toBeGreaterThan(0);
  for (const key of narrowKeys) {
    const ofKey = runs.filter((run) => run.key === key);
    expect(mostAtOnce(ofKey), key).toBe(concurrency);
    expect(new Set(ended(ofKey)).size, key).toBe(jobsPerKey);
  }
  for (const key of orderedKeys) {
    const ofKey = runs.filter((run) => run.key === key);
    expect(mostAtOnce(ofKey), key).toBe(1);
    expect(ended(ofKey), key).toEqual(Array.from({ length: jobsPerKey }, (_, n) => n));
    // Neither does a later one begin before an earlier one has ended.
    const order = ofKey.map(({ n }) => n);
    expect(order, key).toEqual(order.toSorted((a, b) => a - b));
  }
  await deployment.inspect(async (raw) => {
    const busy = "select * from forge_lanes where running <> 0 or waiting <> 0";
    expect(await raw.all(busy)).toEqual([]);
  });
}, 120_000);

async function enqueueAll([server]: readonly ReadyServer[]): Promise<void> {
  const keys = [...narrowKeys, ...orderedKeys];
  await Promise.all(
    keys.map(async (key) => {
      const body = { key, ordered: orderedKeys.includes(key), jobs: jobsPerKey };
      const answer = await fetch(`${server?.url}/work`, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": key },
        body: JSON.stringify(body),
      });
      expect(answer.status).toBe(202);
    }),
  );
}

async function hasBegun(deployment: Deployment, pid = 0): Promise<boolean> {
  return deployment.inspect(async (raw) => {
    return (await raw.all(`select 1 from runs where pid = ${pid} limit 1`)).length > 0;
  });
}

async function databaseTime(deployment: Deployment): Promise<number> {
  return deployment.inspect(async (raw) => {
    const [row] = await raw.all("select extract(epoch from clock_timestamp()) * 1000 as at");
    return Number(row?.["at"]);
  });
}

/** All runs in the order in which they began; those of killed processes end with their process. */
async function observedRuns(
  deployment: Deployment,
  killedAt: ReadonlyMap<number, number>,
): Promise<readonly Run[]> {
  const rows = await deployment.inspect((raw) => raw.all("select * from runs order by at, seq"));
  const runs: Run[] = [];
  const open = new Map<string, Run>();
  for (const row of rows) {
    const { phase } = row;
    const [job, at, pid] = [String(row["job"]), Number(row["at"]), Number(row["pid"])];
    const name = `${job}/${pid}`;
    if (phase === "begin") {
      const endedAt = killedAt.get(pid) ?? Number.POSITIVE_INFINITY;
      const [key, n] = [String(row["key"]), Number(row["n"])];
      const run = { job, key, n, begunAt: at, endedAt, phase: undefined };
      runs.push(run);
      open.set(name, run);
    } else {
      const run = open.get(name);
      if (run === undefined) throw new Error(`${name} ended without having begun`);
      run.endedAt = at;
      run.phase = phase === "end" ? "end" : "failed";
    }
  }
  return runs;
}

function mostAtOnce(runs: readonly Run[]): number {
  return Math.max(
    ...runs.map(({ begunAt }) => {
      return runs.filter((other) => other.begunAt <= begunAt && begunAt < other.endedAt).length;
    }),
  );
}

/** The jobs in the order in which they ended. */
function ended(runs: readonly Run[]): readonly number[] {
  const finished = runs.filter(({ phase }) => phase === "end");
  return finished.toSorted((a, b) => a.endedAt - b.endedAt).map(({ n }) => n);
}
