import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  createDeployment,
  startRedis,
  type ReadyServer,
  type RedisServer,
  type StoreName,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { expect, test } from "vitest";

import { announcedSeed, seededRandom } from "./seeded-random.ts";

const entry = fileURLToPath(new URL("./servers/limit-server.ts", import.meta.url));
const limit = 320;
const clients = 8;
const kills = 4;
// Any time, never a fixed one; a sixteenth of the limit may be owed by each kill.
const longestLifeMs = 300;

/** Servers that spend one limit, and how. */
interface Run {
  readonly store: StoreName;
  readonly path: "/limited" | "/quota";
  readonly servers: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Killed with every second server, and started again after it. */
  readonly redis?: RedisServer;
}

/** Requests until nothing is admitted any more, through servers that are killed meanwhile; answers how many were. */
async function spendAll({ store, path, servers: count, env = {}, redis }: Run): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "apiforge-limits-"));
  const file = join(folder, "admitted");
  const random = seededRandom(announcedSeed(`limits ${store} ${path}`));
  await using deployment = await createDeployment({
    store,
    postgresUrl: postgresUrl(),
    entry,
    env: { ...env, ADMITTED_FILE: file, LIMIT: String(limit) },
  });
  try {
    const servers: ReadyServer[] = [];
    for (let n = 0; n < count; n++) servers.push(await deployment.start());
    const life = { isOver: false };
    const load = Promise.all(
      Array.from({ length: clients }, (_, n) => request(() => servers[n % count], path, life)),
    );
    for (let kill = 0; kill < kills; kill++) {
      await delay(random() * longestLifeMs);
      const victim = kill % count;
      const isRedisToo = kill % 2 === 1;
      if (isRedisToo) await redis?.kill();
      await servers[victim]?.kill9();
      servers[victim] = await deployment.start();
      if (isRedisToo) await redis?.restart();
    }
    life.isOver = true;
    await load;
    // What is left is spent without any kill; a refusal means that nothing is, once nobody holds a block.
    for (let refused = 0; refused < 3;) {
      const answers = await Promise.all(servers.map(({ url }) => fetch(`${url}${path}`)));
      if (answers.every(({ status }) => status === 429)) refused++;
    }
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").length : 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function request(
  server: () => ReadyServer | undefined,
  path: string,
  life: { readonly isOver: boolean },
): Promise<void> {
  while (!life.isOver) {
    try {
      const { status } = await fetch(`${server()?.url}${path}`);
      // Everything is spent, or nobody can count: the others go on.
      if (status !== 200) await delay(5);
    } catch {
      // It was killed.
      await delay(5);
    }
  }
}

test("no kill admits one request too many, and each costs a sixteenth at most", async () => {
  const admitted = await spendAll({ store: "sqlite", path: "/limited", servers: 1 });
  expect(admitted).toBeLessThanOrEqual(limit);
  // In flight with those are the requests that waited for their record when the process died.
  expect(admitted).toBeGreaterThanOrEqual(limit - kills * (limit / 16 + clients));
}, 60_000);

// A kill loses a block, which is what was needed at once and a sixteenth of the limit at most.
test.each([
  { store: "sqlite", path: "/quota", servers: 1 },
  { store: "postgres", path: "/limited", servers: 2 },
  { store: "postgres", path: "/quota", servers: 2 },
] as const)(
  "no kill of $servers on $store admits one too many of $path, and each costs a block at most",
  async (run) => {
    const admitted = await spendAll(run);
    expect(admitted).toBeLessThanOrEqual(limit);
    expect(admitted).toBeGreaterThanOrEqual(limit - kills * (limit / 16 + 2 * clients));
  },
  60_000,
);

test("nor do two servers with a Redis that is killed and started again among them", async () => {
  await using redis = await startRedis({ appendfsync: "everysec" });
  const env = { REDIS_URL: redis.url };
  const admitted = await spendAll({ store: "postgres", path: "/limited", servers: 2, env, redis });
  expect(admitted).toBeLessThanOrEqual(limit);
  expect(admitted).toBeGreaterThan(0);
}, 60_000);
