import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  createHttpClient,
  eventually,
  storeNames,
  type Deployment,
  type ReadyServer,
} from "@apiforge/testing";
import { expect, test } from "vitest";

import { addNote, auditCommand, deployAudited } from "../audit/audit-deployment.ts";
import { announcedSeed, seededRandom } from "./seeded-random.ts";

const isLong = process.env["APIFORGE_CRASH_LONG"] === "1";
const kills = isLong ? 20 : 3;
const clients = 4;
// Longer than the sealer waits, so that kills meet it at work and between.
const longestLifeMs = 1_500;

test.for(storeNames)(
  "every commit has its audit entry, in a whole chain, though processes are killed: %s",
  { timeout: isLong ? 300_000 : 90_000 },
  async (store) => {
    const random = seededRandom(announcedSeed(`audit on ${store}`));
    await using deployment = await deployAudited(store);
    const token = await deployment.token({ sub: "usr_1", tenant: "ten_1" });
    let server: ReadyServer = await deployment.start();
    const answered: string[] = [];
    const stopping = new AbortController();

    async function work(): Promise<void> {
      while (!stopping.signal.aborted) {
        await using client = createHttpClient(server.url);
        let isServed = true;
        while (isServed && !stopping.signal.aborted) {
          const id = randomUUID();
          isServed = await addNote(client, token, id);
          if (isServed) answered.push(id);
        }
        await delay(25);
      }
    }
    const working = Promise.all(Array.from({ length: clients }, work));

    for (let kill = 1; kill <= kills; kill += 1) {
      await delay(random() * longestLifeMs);
      await server.kill9();
      expect(await broken(deployment), `after kill ${kill}`).toEqual([]);
      server = await deployment.start();
    }
    stopping.abort();
    await working;
    await eventually("everything is sealed", async () => {
      const [row] = await deployment.inspect((raw) =>
        raw.all("select count(*) as waiting from forge_audit_unsealed"),
      );
      return Number(row?.["waiting"]) === 0;
    });
    await server.stop();

    expect(await broken(deployment)).toEqual([]);
    const audited = new Set((await pairs(deployment)).audited);
    expect(answered.filter((id) => !audited.has(id))).toEqual([]);
    expect(answered.length).toBeGreaterThan(kills);
    const { code, stdout } = await auditCommand(deployment, "verify");
    expect(stdout).toContain(`audit log intact: ${audited.size} entries sealed, 0 waiting`);
    expect(code).toBe(0);
  },
);

interface Pairs {
  readonly notes: readonly string[];
  readonly audited: readonly string[];
}

async function pairs(deployment: Deployment): Promise<Pairs> {
  // One statement is one snapshot: a PostgreSQL may still be at work on what a dead server has sent.
  const rows = await deployment.inspect((raw) =>
    raw.all(
      `select 'note' as part, id as content from notes
       union all select 'audited', detail from forge_audit`,
    ),
  );
  const part = (name: string) => rows.filter((row) => row["part"] === name);
  return {
    notes: part("note").map((row) => String(row["content"])),
    audited: part("audited").map((row) => {
      const { note } = JSON.parse(String(row["content"])) as { note: string };
      return note;
    }),
  };
}

/** What is broken at any instant: the database, a note without its one entry, or the reverse; a chain with a hole. */
async function broken(deployment: Deployment): Promise<string[]> {
  const { notes, audited } = await pairs(deployment);
  const problems = await deployment.inspect((raw) => raw.integrityCheck());
  if (notes.toSorted().join() !== audited.toSorted().join())
    problems.push(`${notes.length} notes and ${audited.length} entries are not each other's`);
  const { code, stdout } = await auditCommand(deployment, "verify");
  if (code !== 0) problems.push(stdout);
  return problems;
}
