import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createDeployment, type ReadyServer, type StoreName } from "@apiforge/testing";
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
}

/** Requests until nothing is admitted any more, through servers that are killed meanwhile; answers how many were. */
async function spendAll({ store, path, servers: count, env = {} }: Run): Promise<number> {
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
      await servers[victim]?.kill9();
      servers[victim] = await deployment.start();
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
