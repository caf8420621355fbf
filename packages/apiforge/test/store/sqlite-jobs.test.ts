import { expect, test } from "vitest";
import type { NewJob, Store } from "../../src/store/index.ts";
import { openSqliteFile } from "./sqlite-fixture.ts";

const blocked = { concurrency: 1, spacingUs: 0, ordered: false };

function jobOf(id: string, differences: Partial<NewJob> = {}): NewJob {
  const rest = { tenant: "t", payload: "{}", requestId: "r", dedupeKey: null, lane: null };
  const times = { delayMs: 0, deadlineMs: null };
  const job = { id, queue: "mail", type: "send", priority: 0, maxAttempts: 3 };
  return { ...job, ...rest, ...times, ...differences };
}

async function addBlocked(store: Store, count: number): Promise<void> {
  await store.transact("add", async (tx) => {
    for (let index = 0; index < count; index += 1) {
      tx.insertJob(jobOf(`job_${index}`, { lane: { ...blocked, key: `key${index % 2}` } }));
    }
  });
  expect(await store.jobs.claim("mail", "w1", 10)).toHaveLength(2);
}

test("100,000 blocked keyed jobs are outside of what a claim of plain jobs reads", async () => {
  await using open = await openSqliteFile();
  const { store } = open;
  await addBlocked(store, 100_000);
  const plan = async (sql: string): Promise<string> => {
    const rows = (await open.raw?.(`explain query plan ${sql}`)) ?? [];
    return rows.map((row) => String(row["detail"])).join("\n");
  };
  const ready = await plan(
    `select n from forge_jobs where queue = 'mail' and state = 1 and deaths = 0
     order by priority, n limit 5`,
  );
  expect(ready).toContain("USING COVERING INDEX forge_jobs_ready (queue=? AND deaths=?)");
  expect(ready).not.toContain("TEMP B-TREE");
  const lanes = await plan(
    `select key from forge_lanes where queue = 'mail' and waiting > 0 and running < concurrency
       and resting = 0 and paused_at is null order by turn limit 5`,
  );
  expect(lanes).toContain("INDEX forge_lanes_open (queue=?)");
  expect(lanes).not.toContain("TEMP B-TREE");
  // The partial indexes themselves hold none of them.
  const held = await open.raw?.("select count(*) as jobs from forge_jobs where state = 1");
  expect(held?.[0]?.["jobs"]).toBe(0);
  await store.transact("add", async (tx) => tx.insertJob(jobOf("plain")));
  expect((await store.jobs.claim("mail", "w1", 10)).map(({ id }) => id)).toEqual(["plain"]);
});
