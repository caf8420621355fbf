import { startHalfOpenProxy, until } from "@apiforge/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ClaimedJob, JobSettlement, Store } from "../../src/store/index.ts";
import { claimLanes, claimReady, promoteDue } from "../../src/store/postgres/claims.ts";
import { settleJobs } from "../../src/store/postgres/settlements.ts";
import { backends, jobOf, newDatabase, openNode, rawClient } from "./postgres-harness.ts";

async function addJobs(store: Store, count: number): Promise<void> {
  await store.transact("add", async (tx) => {
    for (let index = 0; index < count; index += 1) tx.insertJob(jobOf());
  });
}

function ids(jobs: readonly ClaimedJob[]): string[] {
  return jobs.map((job) => job.id);
}

describe("a claim", () => {
  test("of many nodes gives each job to one of them", async () => {
    const database = await newDatabase();
    const nodes = await Promise.all([1, 2, 3].map(() => openNode(database.url)));
    const [first] = nodes;
    if (first === undefined) throw new Error("A node is missing");
    await addJobs(first, 300);
    const claims = nodes.flatMap((node, index) =>
      [0, 1, 2].map(async (worker) => {
        const taken: ClaimedJob[] = [];
        for (let empty = 0; empty < 3;) {
          const batch = await node.jobs.claim("mail", `w${index}.${worker}`, 7);
          taken.push(...batch);
          empty = batch.length === 0 ? empty + 1 : 0;
        }
        return taken;
      }),
    );
    const all = (await Promise.all(claims)).flat();
    expect(all).toHaveLength(300);
    expect(new Set(ids(all)).size).toBe(300);
  });

  test("whose answer is lost leaves no job with an owner who does not know of it", async () => {
    const database = await newDatabase();
    const proxy = await startHalfOpenProxy(database.url);
    onTestFinished(() => proxy.close());
    const store = await openNode(proxy.url);
    const raw = await rawClient(database.url);
    await addJobs(store, 2);
    await store.workers.register("w1");
    const known = await store.jobs.claim("mail", "w1", 1);
    await raw.query("begin; lock table forge_jobs in exclusive mode");
    const lost = store.jobs.claim("mail", "w1", 1);
    lost.catch(() => undefined);
    await until("the claim waits", async () => {
      return (await backends(raw, "wait_event_type = 'Lock'")).length > 0;
    });
    proxy.blackhole();
    await raw.query("commit");
    const running = async () => {
      const { rows } = await raw.query("select 1 from forge_jobs where state = 2");
      return rows.length;
    };
    await until("the claim is committed", async () => (await running()) === 2);
    store.clock.advance(1_500);
    await expect(lost).rejects.toMatchObject({ code: "store_unavailable" });
    proxy.resume();
    const [again] = await store.jobs.claim("mail", "w1", 5);
    expect(again).toMatchObject({ attempt: 1 });
    expect(again?.id).not.toBe(known[0]?.id);
    expect(await store.jobs.claim("mail", "w1", 5)).toEqual([]);
    const settled = await store.jobs.settle(
      [...known, ...(again === undefined ? [] : [again])].map(({ n, fence }) => {
        return { outcome: "completed", n, fence };
      }),
    );
    expect(settled).toEqual([true, true]);
  });
});

describe("among thousands of jobs that wait or have ended", () => {
  const ends = Array.from({ length: 20 }, (_, index): JobSettlement => {
    return { outcome: "completed", n: index + 1, fence: 1 };
  });
  test.for([
    ["a claim", claimReady("mail", "w1", 5, 1), /Index Scan using forge_jobs_ready /],
    ["a promotion", promoteDue, /Index Scan using forge_jobs_scheduled /],
    ["a settlement", settleJobs(ends), /Index Scan using forge_jobs_(pkey|running) /],
    ["a claim of lanes", claimLanes("mail", "w1", 5, 1), /Index Scan using forge_lanes_open /],
  ] as const)("%s reads those that it is about", async ([, { text, values }, index]) => {
    const database = await newDatabase();
    await openNode(database.url);
    const raw = await rawClient(database.url);
    await raw.query(
      `insert into forge_jobs (id, queue, type, tenant, payload, state, priority, run_at, max_attempts,
         request_id, created_at, finished_at)
       select 'job_' || i, 'mail', 'send', 't', '{}', 3, 0, 1, 3, 'r', 1, 1
       from generate_series(1, 20000) i`,
    );
    await raw.query(
      "update forge_jobs set state = case when n > 17000 then 1 else 0 end where n > 15000",
    );
    await raw.query("analyze forge_jobs");
    const { rows } = await raw.query<{ "QUERY PLAN": string }>(`explain ${text}`, [...values]);
    const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
    expect(plan).toMatch(index);
    expect(plan).not.toContain("Seq Scan");
  });
});

test("100,000 blocked keyed jobs are outside of what a claim of plain jobs reads", async () => {
  const database = await newDatabase();
  const store = await openNode(database.url);
  const raw = await rawClient(database.url);
  await raw.query(
    `insert into forge_jobs (id, queue, type, tenant, payload, state, priority, run_at, max_attempts,
       request_id, created_at, lane)
     select 'job_' || i, 'mail', 'send', 't', '{}', -1, 0, 1, 3, 'r', 1, 'key' || i % 2
     from generate_series(1, 100000) i`,
  );
  await raw.query(
    `insert into forge_lanes (queue, key, concurrency, spacing_us, running, waiting)
     select 'mail', 'key' || i, 1, 0, 1, 50000 from generate_series(0, 1) i`,
  );
  await addJobs(store, 10);
  await raw.query("analyze forge_jobs; analyze forge_lanes");
  const { text, values } = claimReady("mail", "w1", 5, 1);
  const explain = "explain (analyze, buffers, format json)";
  const { rows } = await raw.query<{ "QUERY PLAN": readonly [{ Plan: object }] }>(
    `${explain} ${text}`,
    [...values],
  );
  const plan = JSON.stringify(rows[0]?.["QUERY PLAN"][0].Plan);
  expect(plan).toContain('"Index Name":"forge_jobs_ready"');
  // The one pack may be read whole: of so small a table PostgreSQL does as it likes.
  expect(plan).not.toMatch(/"Seq Scan"[^{}]*"Relation Name":"forge_jobs"/);
  expect(plan).not.toContain("forge_jobs_lane");
  // Neither are they filtered out one by one.
  const filtered = [...plan.matchAll(/"Rows Removed by [^"]+":(\d+)/g)].map(([, count]) => count);
  expect(filtered.filter((count) => count !== "0")).toEqual([]);
  expect(await store.jobs.claim("mail", "w1", 100)).toHaveLength(5);
});

describe("a job with a dedupe key", () => {
  test.for([
    ["commits", false],
    ["is rolled back", true],
  ] as const)("waits for whoever has taken it, and is in when that %s: %s", async ([, fails]) => {
    const database = await newDatabase();
    const [first, second] = [await openNode(database.url), await openNode(database.url)];
    const raw = await rawClient(database.url);
    const taken = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const holder = first.transact("holder", async (tx) => {
      await tx.insertUniqueJob(jobOf({ id: "first", dedupeKey: "k" }));
      taken.resolve();
      await gate.promise;
      if (fails) throw new Error("no");
    });
    holder.catch(() => undefined);
    await taken.promise;
    const other = second.transact("other", (tx) =>
      tx.insertUniqueJob(jobOf({ id: "second", dedupeKey: "k" })),
    );
    await until("it waits", async () => {
      return (await backends(raw, "wait_event_type = 'Lock'")).length > 0;
    });
    gate.resolve();
    await holder.catch(() => undefined);
    const expected = fails ? { id: "second", inserted: true } : { id: "first", inserted: false };
    expect((await other).value).toEqual(expected);
  });
});

test("jobs of an owner who is not listed run again", async () => {
  const database = await newDatabase();
  const [store, other] = [await openNode(database.url), await openNode(database.url)];
  await addJobs(store, 2);
  await store.workers.register("w1");
  await other.workers.register("w2");
  const [mine] = await store.jobs.claim("mail", "w1", 1);
  const [theirs] = await other.jobs.claim("mail", "w2", 1);
  // Declared dead while its claim was under way, and then really dead.
  const raw = await rawClient(database.url);
  await raw.query("delete from forge_workers where owner = 'w1'");
  expect(await other.workers.recoverExpired(60_000)).toBe(1);
  expect(await store.jobs.find(mine?.id ?? "")).toMatchObject({ state: "ready" });
  expect(await store.jobs.find(theirs?.id ?? "")).toMatchObject({ state: "running" });
});

test("time is the server's", async () => {
  const database = await newDatabase();
  const store = await openNode(database.url);
  const raw = await rawClient(database.url);
  await store.transact("add", async (tx) => {
    tx.insertJob(jobOf({ id: "later", delayMs: 3_600_000 }));
  });
  expect(await store.jobs.claim("mail", "w1", 1)).toEqual([]);
  await raw.query(`create or replace function forge_now() returns bigint language sql volatile
    as $$ select (extract(epoch from clock_timestamp()) * 1000)::bigint + 3600000 $$`);
  expect(ids(await store.jobs.claim("mail", "w1", 1))).toEqual(["later"]);
});
