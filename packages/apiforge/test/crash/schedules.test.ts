import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  createDeployment,
  eventually,
  startSandboxProcess,
  storeNames,
  type Deployment,
  type RawRow,
  type ReadyServer,
  type SandboxProcess,
  type StoreName,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { afterAll, beforeAll, describe, test } from "vitest";

import { jobRows } from "./job-rows.ts";
import { announcedSeed, seededRandom } from "./seeded-random.ts";

const entry = fileURLToPath(new URL("./servers/scheduling-server.ts", import.meta.url));
const isLong = process.env["APIFORGE_CRASH_LONG"] === "1";
const kills = isLong ? 60 : 6;
const longestLifeMs = 2_500;
const fired = 0;

let sandbox: SandboxProcess;
beforeAll(async () => {
  sandbox = await startSandboxProcess();
});
afterAll(() => sandbox.stop());

function deploy(store: StoreName): Promise<Deployment> {
  return createDeployment({ store, postgresUrl: postgresUrl(), sandbox, entry });
}

function rows(deployment: Deployment, sql: string): Promise<RawRow[]> {
  return deployment.inspect((raw) => raw.all(sql));
}

/** Waits until the schedule has gone on for a while since now, and every job of it has ended. */
async function settle(deployment: Deployment): Promise<void> {
  const since = Date.now();
  await eventually("it ticks again", async () => {
    const [last] = await rows(
      deployment,
      `select max(fire_at) as at from forge_schedule_ticks where outcome = ${fired}`,
    );
    return Number(last?.["at"]) > since + 2_000;
  });
}

/**
 * What is wrong with the recorded ticks and their jobs; empty when nothing is. A tick that fired
 * while the last server stopped has its job in the queue, where the next start finds it.
 */
async function findBrokenTicks(deployment: Deployment): Promise<string[]> {
  const ticks = await rows(
    deployment,
    "select fire_at, outcome, job_id from forge_schedule_ticks order by fire_at",
  );
  const runs = await rows(deployment, "select job, fire_at from runs");
  const all = jobRows(deployment.store);
  const jobs = await rows(deployment, `select id, state from ${all} where type = 'record'`);
  const queued = new Set(jobs.filter((job) => Number(job["state"]) < 3).map((job) => job["id"]));
  const runOf = new Map(runs.map((run) => [run["job"], run["fire_at"]]));
  const broken: string[] = [];
  for (const [index, tick] of ticks.entries()) {
    const before = ticks[index - 1];
    const at = Number(tick["fire_at"]);
    if (before !== undefined && at !== Number(before["fire_at"]) + 1_000) {
      broken.push(`no tick between ${String(before["fire_at"])} and ${at}`);
    }
    const mustHaveRun = Number(tick["outcome"]) === fired && !queued.has(tick["job_id"]);
    if (mustHaveRun && Number(runOf.get(tick["job_id"])) !== at) {
      broken.push(`the job of tick ${at} has not run for it`);
    }
  }
  const firedTicks = ticks.filter((tick) => Number(tick["outcome"]) === fired);
  if (runs.length + queued.size !== firedTicks.length) {
    broken.push(`${runs.length} runs and ${queued.size} jobs left of ${firedTicks.length} ticks`);
  }
  if (jobs.length !== firedTicks.length) {
    broken.push(`${jobs.length} jobs of ${firedTicks.length} ticks`);
  }
  return broken;
}

/** Stops the servers once nothing is left of the dead, whose leases last for 10 s. */
async function stopInOrder(deployment: Deployment, servers: readonly ReadyServer[]): Promise<void> {
  await eventually(
    "no job of a dead process is left",
    async () => {
      const [row] = await rows(
        deployment,
        `select count(*) as unfinished from ${jobRows(deployment.store)} where state < 3 and created_at < ${Date.now() - 1_000}`,
      );
      return Number(row?.["unfinished"]) === 0;
    },
    30_000,
  );
  for (const server of servers) await server.stop();
}

describe.concurrent.for(storeNames)("%s", (store) => {
  test("a kill between a tick's record and its commit doubles nothing and loses nothing", async ({
    expect,
  }) => {
    await using deployment = await deploy(store);
    const first = await deployment.start({ pauseAt: { point: "after-tick", nth: 3 } });
    await first.waitForPause();
    await first.kill9();
    const [before] = await rows(
      deployment,
      `select next_at as due, (select max(fire_at) from forge_schedule_ticks) as last,
        (select count(*) from forge_schedule_ticks) as ticks from forge_schedules`,
    );
    // The one that it stood still in was due, and of its commit nothing is there. How many are before
    // it is not known: some may have fired before points were counted.
    expect(Number(before?.["due"])).toBeLessThanOrEqual(Date.now());
    expect(Number(before?.["last"])).toBe(Number(before?.["due"]) - 1_000);
    expect(Number(before?.["ticks"])).toBeGreaterThanOrEqual(2);
    const second = await deployment.start();
    await settle(deployment);
    await stopInOrder(deployment, [second]);
    expect(await findBrokenTicks(deployment)).toEqual([]);
  }, 90_000);

  test("a tick that fires while the server stops leaves its job to the next start", async ({
    expect,
  }) => {
    await using deployment = await deploy(store);
    for (let round = 0; round < 2; round += 1) {
      const server = await deployment.start();
      await settle(deployment);
      // A tick comes with every second.
      await delay(1_000 - (Date.now() % 1_000) + round * 3);
      await server.stop();
      expect(await findBrokenTicks(deployment)).toEqual([]);
    }
    const last = await deployment.start();
    await settle(deployment);
    await stopInOrder(deployment, [last]);
    const [job] = await rows(
      deployment,
      `select min(created_at) as at from ${jobRows(store)} where state < 3`,
    );
    expect(Number(job?.["at"] ?? Date.now())).toBeGreaterThan(Date.now() - 5_000);
  }, 90_000);
});

test(
  `${kills} kills at random moments of two servers on one PostgreSQL`,
  { timeout: isLong ? 600_000 : 120_000 },
  async ({ expect }) => {
    const random = seededRandom(announcedSeed("random kills of schedules"));
    await using deployment = await deploy("postgres");
    const servers = [await deployment.start(), await deployment.start()];
    for (let kill = 0; kill < kills; kill += 1) {
      await delay(random() * longestLifeMs);
      const victim = random() < 0.5 ? 0 : 1;
      await servers[victim]?.kill9();
      // Now and then both are gone, so that ticks are missed.
      if (kill % 3 === 2) {
        await servers[1 - victim]?.kill9();
        await delay(random() * longestLifeMs);
        servers[1 - victim] = await deployment.start();
      }
      servers[victim] = await deployment.start();
    }
    await settle(deployment);
    await stopInOrder(deployment, servers);
    expect(await findBrokenTicks(deployment)).toEqual([]);
  },
);
