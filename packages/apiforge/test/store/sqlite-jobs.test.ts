import { expect, test } from "vitest";
import type { ClaimedJob, JobSettlement, NewJob, Store } from "../../src/store/index.ts";
import { openSqliteFile } from "./sqlite-fixture.ts";

const blocked = { concurrency: 1, spacingUs: 0, ordered: false };

function jobOf(id: string, differences: Partial<NewJob> = {}): NewJob {
  const rest = { tenant: "t", payload: "{}", requestId: "r", dedupeKey: null, lane: null };
  const traceparent = null;
  const times = { delayMs: 0, deadlineMs: null };
  const job = { id, queue: "mail", type: "send", priority: 0, maxAttempts: 3 };
  return { ...job, ...rest, traceparent, ...times, ...differences };
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

const packTables = [
  "forge_job_packs",
  "forge_pack_items",
  "forge_pack_leases",
  "forge_pack_ends",
] as const;

async function addKind(store: Store, count: number): Promise<void> {
  await store.transact("add", async (tx) => {
    for (let index = 0; index < count; index += 1) tx.insertJob(jobOf(`job_${index}`));
  });
}

function completed({ n, fence }: ClaimedJob): JobSettlement {
  return { outcome: "completed", n, fence };
}

test("jobs of one kind are one row, and leave none behind when they are swept", async () => {
  await using open = await openSqliteFile();
  const { store } = open;
  const rows = async (table: string): Promise<unknown> =>
    (await open.raw?.(`select count(*) as rows from ${table}`))?.[0]?.["rows"];
  const packed = () => Promise.all(packTables.map(rows));
  await addKind(store, 300);
  expect(await rows("forge_jobs")).toBe(0);
  expect(await packed()).toEqual([1, 1, 0, 0]);
  const first = await store.jobs.claim("mail", "w1", 100);
  const second = await store.jobs.claim("mail", "w1", 200);
  expect(await packed()).toEqual([1, 1, 2, 0]);
  const [failed, ...others] = [...first, ...second];
  if (failed === undefined) throw new Error("Nothing was claimed");
  await store.jobs.settle(others.map(completed));
  expect(await packed()).toEqual([1, 1, 2, 1]);
  const { n, fence } = failed;
  await store.jobs.settle([{ outcome: "retry", delayMs: 0, error: "again", n, fence }]);
  expect(await rows("forge_jobs")).toBe(1);
  expect(await packed()).toEqual([1, 1, 0, 2]);
  await open.advance(1);
  expect(await store.jobs.sweepEnded(0, 1_000)).toBe(299);
  expect(await packed()).toEqual([0, 0, 0, 0]);
  expect((await store.jobs.claim("mail", "w1", 10)).map(({ id }) => id)).toEqual(["job_0"]);
});

test("a number is never given twice, whichever way its job is kept", async () => {
  await using open = await openSqliteFile();
  await addKind(open.store, 20);
  await open.store.transact("add", async (tx) => tx.insertJob(jobOf("single")));
  await addKind(open.store, 20);
  await open.reopen();
  await open.store.transact("add", async (tx) => tx.insertJob(jobOf("later")));
  const claimed = await open.store.jobs.claim("mail", "w1", 100);
  expect(claimed.map(({ n }) => n)).toEqual(Array.from({ length: 42 }, (_, index) => index + 1));
});

test("many packs are outside of what a claim and a look at one job read", async () => {
  await using open = await openSqliteFile();
  const plan = async (sql: string): Promise<string> => {
    const rows = (await open.raw?.(`explain query plan ${sql}`)) ?? [];
    return rows.map((row) => String(row["detail"])).join("\n");
  };
  const next = await plan(
    "select * from forge_job_packs where queue = 'mail' and taken < count order by priority, n limit 1",
  );
  expect(next).toContain("INDEX forge_job_packs_ready (queue=?)");
  expect(next).not.toContain("TEMP B-TREE");
  const find = await plan(
    "select * from forge_job_packs where last_id >= 'job_1' and first_id <= 'job_1' order by last_id",
  );
  expect(find).toContain("INDEX forge_job_packs_id (last_id>?)");
  expect(find).not.toContain("TEMP B-TREE");
  const sweep = await plan(
    "select n from forge_pack_ends where finished_at < 5 order by finished_at, n limit 5",
  );
  expect(sweep).toContain("INDEX forge_pack_ends_finished");
  expect(sweep).not.toContain("TEMP B-TREE");
});

test("jobs of a database from before packs go on, and new ones come after them", async () => {
  await using open = await openSqliteFile();
  for (const id of ["old_1", "old_2", "old_3"]) {
    await open.store.transact("add", async (tx) => tx.insertJob(jobOf(id)));
  }
  await open.store.workers.register("before");
  await open.store.jobs.claim("mail", "before", 1);
  await open.close();
  // What the version before had.
  for (const table of packTables) await open.raw?.(`drop table ${table}`);
  await open.raw?.("alter table forge_jobs drop column traceparent");
  await open.raw?.(
    "delete from forge_migrations where name in ('apiforge-0005-job-packs', 'apiforge-0017-job-trace')",
  );
  await open.reopen();
  await addKind(open.store, 10);
  await open.store.workers.register("after");
  const claimed = await open.store.jobs.claim("mail", "after", 4);
  expect(claimed.map(({ id }) => id)).toEqual(["old_2", "old_3", "job_0", "job_1"]);
  expect(await open.store.jobs.find("old_1")).toMatchObject({ state: "ready", attempt: 0 });
});
