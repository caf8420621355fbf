import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  createDeployment,
  createHttpClient,
  eventually,
  startPostgres,
  startSandboxProcess,
  storeNames,
  type Deployment,
  type PausePoint,
  type ReadyServer,
  type SandboxProcess,
  type StoreName,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { findBrokenBatches, haveBatchesEnded } from "./batch-promises.ts";
import { announcedSeed, seededRandom } from "./seeded-random.ts";

const isLong = process.env["APIFORGE_CRASH_LONG"] === "1";
const entry = fileURLToPath(new URL("./servers/batch-server.ts", import.meta.url));
const endDeadlineMs = isLong ? 300_000 : 60_000;

let sandbox: SandboxProcess;
beforeAll(async () => {
  sandbox = await startSandboxProcess();
});
afterAll(() => sandbox.stop());

function deploy(store: StoreName, url = postgresUrl()): Promise<Deployment> {
  return createDeployment({ store, postgresUrl: url, sandbox, entry });
}

/** A body of `count` items, of which every `slowEach`th takes 20 ms. */
function bodyOf(count: number, slowEach: number): string {
  const items = Array.from({ length: count }, (_, n) => ({
    n,
    waitMs: n % slowEach === 0 ? 20 : 0,
  }));
  return items.map((item) => JSON.stringify(item)).join("\n");
}

/** Sends one batch under one key until it is acknowledged; answers its id. */
async function submit(url: () => string, key: string, body: string): Promise<string> {
  for (;;) {
    try {
      const response = await fetch(`${url()}/batches`, {
        method: "POST",
        headers: { "content-type": "application/x-ndjson", "idempotency-key": key },
        body,
      });
      if (response.status === 202) return ((await response.json()) as { id: string }).id;
      if (response.status !== 409 && response.status < 500) {
        throw new TypeError(`Answered with ${response.status}: ${await response.text()}`);
      }
    } catch (error) {
      if (error instanceof TypeError && error.message.startsWith("Answered")) throw error;
    }
    await delay(50);
  }
}

const points: readonly PausePoint[] = [
  // Staged chunks, the accepting commit, and chunks' ends are commits alike.
  { point: "before-commit", nth: 12 },
  { point: "before-commit", nth: 40 },
  { point: "after-commit", nth: 30 },
  { point: "after-claim", nth: 2 },
  { point: "mid-handler", nth: 6 },
];

describe.concurrent.for(storeNames)("%s", (store) => {
  test.for(points)(
    "a kill at $point, time $nth, while a batch is taken in or run: each item has one result",
    { timeout: 120_000 },
    async (pauseAt, { expect }) => {
      await using deployment = await deploy(store);
      let server: ReadyServer = await deployment.start({ pauseAt });
      const sent = submit(() => server.url, "k", bodyOf(2_000, 100));
      await server.waitForPause();
      await server.kill9();
      expect(await findBrokenBatches(deployment)).toEqual([]);
      server = await deployment.start();
      const id = await sent;
      await eventually("the batch has ended", () => haveBatchesEnded(deployment), endDeadlineMs);
      expect(await submit(() => server.url, "k", bodyOf(2_000, 100))).toBe(id);
      await server.stop();
      expect(await findBrokenBatches(deployment)).toEqual([]);
      expect(await visibleBatches(deployment)).toBe(1);
    },
  );

  test(
    "kills at random moments while a batch runs: each item has one result",
    { timeout: endDeadlineMs + 60_000 },
    async ({ expect }) => {
      const random = seededRandom(announcedSeed(`batch kills, ${store}`));
      const items = isLong ? 100_000 : 4_000;
      await using deployment = await deploy(store);
      let server: ReadyServer = await deployment.start();
      const sent = submit(() => server.url, "k", bodyOf(items, 25));
      for (let kill = 0; kill < (isLong ? 20 : 3); kill++) {
        await delay(random() * 600);
        await server.kill9();
        expect(await findBrokenBatches(deployment), `after kill ${kill}`).toEqual([]);
        server = await deployment.start();
      }
      await sent;
      await eventually("the batch has ended", () => haveBatchesEnded(deployment), endDeadlineMs);
      await server.stop();
      expect(await findBrokenBatches(deployment)).toEqual([]);
      expect(await visibleBatches(deployment)).toBe(1);
    },
  );
});

test(
  "servers on one PostgreSQL are killed, and it is restarted, while a batch runs: each item has one result",
  { timeout: endDeadlineMs + 120_000 },
  async () => {
    const random = seededRandom(announcedSeed("batch servers"));
    const items = isLong ? 100_000 : 6_000;
    const postgres = await startPostgres();
    await using stack = new AsyncDisposableStack();
    stack.defer(() => postgres.stop());
    const deployment = stack.use(await deploy("postgres", postgres.url));
    const servers: ReadyServer[] = await Promise.all(
      Array.from({ length: isLong ? 3 : 2 }, () => deployment.start()),
    );
    const survivor = (): string => servers[0]?.url ?? "";
    const sent = submit(survivor, "k", bodyOf(items, 25));
    for (let kill = 0; kill < (isLong ? 6 : 2); kill++) {
      await delay(200 + random() * 600);
      await servers.at(-1)?.kill9();
      servers[servers.length - 1] = await deployment.start();
    }
    const id = await sent;
    await postgres.kill9();
    await postgres.startServer();
    expect(await findBrokenBatches(deployment)).toEqual([]);
    await eventually("the batch has ended", () => haveBatchesEnded(deployment), endDeadlineMs);
    await using client = createHttpClient(survivor());
    const answer = await client.request({ path: `/batches/${id}` });
    expect(answer.json()).toMatchObject({ status: "completed", processed: items });
    await Promise.all(servers.map((server) => server.stop()));
    expect(await findBrokenBatches(deployment)).toEqual([]);
  },
);

async function visibleBatches(deployment: Deployment): Promise<number> {
  return deployment.inspect(async (raw) => {
    const rows = await raw.all("select id from forge_batches where state > 0");
    return rows.length;
  });
}
