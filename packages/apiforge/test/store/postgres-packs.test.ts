import { describe, expect, test } from "vitest";
import type { ClaimedJob, JobSettlement, Store } from "../../src/store/index.ts";
import { coreMigrations } from "../../src/store/migrations/index.ts";
import { migrate } from "../../src/store/postgres/migrations.ts";
import { jobOf, newDatabase, openNode, rawClient } from "./postgres-harness.ts";

/** So many that they are a pack. */
async function addPack(store: Store, prefix = "p", count = 10): Promise<void> {
  await store.transact("add", async (tx) => {
    for (let index = 0; index < count; index += 1) tx.insertJob(jobOf({ id: `${prefix}${index}` }));
  });
}

function ids(jobs: readonly ClaimedJob[]): string[] {
  return jobs.map((job) => job.id);
}

function completed({ n, fence }: ClaimedJob): JobSettlement {
  return { outcome: "completed", n, fence };
}

/** The only one, or the one at `index`. */
function at(jobs: readonly ClaimedJob[], index: number): ClaimedJob {
  const job = jobs[index];
  if (job === undefined) throw new Error(`There is no job ${index}`);
  return job;
}

describe("a pack", () => {
  test("is one row, is taken in pieces, and is gone when all of it was swept", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    const raw = await rawClient(database.url);
    const rows = async () => {
      const { rows: counts } = await raw.query(`select
        (select count(*) from forge_jobs) as jobs, (select count(*) from forge_job_packs) as packs,
        (select count(*) from forge_pack_leases) as leases,
        (select count(*) from forge_pack_ends) as ends`);
      return counts[0];
    };
    await addPack(store);
    expect(await rows()).toEqual({ jobs: 0, packs: 1, leases: 0, ends: 0 });
    const first = await store.jobs.claim("mail", "w1", 4);
    const rest = await store.jobs.claim("mail", "w2", 10);
    expect(ids([...first, ...rest])).toEqual(Array.from({ length: 10 }, (_, n) => `p${n}`));
    expect(await rows()).toEqual({ jobs: 0, packs: 1, leases: 2, ends: 0 });
    expect(await store.jobs.settle([...first, ...rest].map(completed))).not.toContain(false);
    expect(await rows()).toEqual({ jobs: 0, packs: 1, leases: 0, ends: 2 });
    expect(await store.jobs.find("p7")).toMatchObject({ state: "completed", attempt: 1 });
    await raw.query("update forge_pack_ends set finished_at = 0");
    expect(await store.jobs.sweepEnded(1_000, 3)).toBe(3);
    expect(await store.jobs.sweepEnded(1_000, 100)).toBe(7);
    expect(await rows()).toEqual({ jobs: 0, packs: 0, leases: 0, ends: 0 });
  });

  test("of a process that died is given to others, and its lease ends nothing", async () => {
    const database = await newDatabase();
    const [store, other] = [await openNode(database.url), await openNode(database.url)];
    await addPack(store);
    const stale = await store.jobs.claim("mail", "w1", 10);
    expect(await store.jobs.settle([completed(at(stale, 3))])).toEqual([true]);
    await other.workers.register("w2");
    expect(await other.workers.recoverExpired(60_000)).toBe(9);
    expect(await store.jobs.settle(stale.map(completed))).not.toContain(true);
    const holds = store.transact("hold", (tx) => tx.holdJob(at(stale, 0)));
    expect((await holds).value).toBe(false);
    const again = await other.jobs.claim("mail", "w2", 10);
    // At most one that a process died with.
    expect(again).toMatchObject([{ id: "p0", attempt: 1, deaths: 1 }]);
    expect(await store.jobs.settle([completed(at(stale, 0))])).toEqual([false]);
    expect(await other.jobs.settle(again.map(completed))).toEqual([true]);
  });

  test("completes a job once, whether with effects or without", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    await addPack(store);
    const jobs = await store.jobs.claim("mail", "w1", 10);
    const [one, two] = [at(jobs, 4), at(jobs, 5)];
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const inside = store.transact("complete", async (tx) => {
      const isHeld = await tx.completeJob(one);
      begun.resolve();
      await gate.promise;
      return isHeld;
    });
    await begun.promise;
    // Another job of the lease need not wait for that transaction.
    expect(await store.jobs.settle([completed(two)])).toEqual([true]);
    const late = store.jobs.settle([completed(one)]);
    gate.resolve();
    expect((await inside).value).toBe(true);
    expect(await late).toEqual([false]);
    const again = store.transact("complete", (tx) => tx.completeJob(two));
    expect((await again).value).toBe(false);
    const others = jobs.filter((job) => job !== one && job !== two);
    expect(await store.jobs.settle(jobs.map(completed))).toEqual(
      jobs.map((job) => others.includes(job)),
    );
  });

  test("speaks again for a job whose transaction was undone", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    await addPack(store);
    const [job] = await store.jobs.claim("mail", "w1", 1);
    if (job === undefined) throw new Error("There is no job");
    const undone = store.transact("complete", async (tx) => {
      await tx.completeJob(job);
      throw new Error("undone");
    });
    await expect(undone).rejects.toThrow("undone");
    expect(await store.jobs.find(job.id)).toMatchObject({ state: "running" });
    expect(await store.jobs.settle([completed(job)])).toEqual([true]);
  });

  test("hands out no job that was cancelled, and asks for the end of one that runs", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    await addPack(store);
    const running = at(await store.jobs.claim("mail", "w1", 1), 0);
    expect(await store.jobs.cancel("p5")).toBe("cancelled");
    expect(await store.jobs.cancel(running.id)).toBe("running");
    expect(await store.jobs.cancelRequests("w1")).toEqual([running.id]);
    expect(ids(await store.jobs.claim("mail", "w1", 20))).not.toContain("p5");
    const ended: JobSettlement = { outcome: "cancelled", n: running.n, fence: running.fence };
    expect(await store.jobs.settle([ended])).toEqual([true]);
    expect(await store.jobs.list({ state: "cancelled", limit: 10 })).toHaveLength(2);
  });

  test("and rows are handed out in the order of priority and insertion", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    const addRow = (id: string, priority = 0) =>
      store.transact("add", async (tx) => tx.insertJob(jobOf({ id, priority })));
    await addRow("a");
    await addPack(store, "b", 8);
    await addRow("c");
    await addPack(store, "d", 8);
    await addRow("e", -1);
    const claimed = ids(await store.jobs.claim("mail", "w1", 15));
    const [b, d] = ["b", "d"].map((name) => Array.from({ length: 8 }, (_, n) => `${name}${n}`));
    expect(claimed).toEqual(["e", "a", ...(b ?? []), "c", ...(d ?? []).slice(0, 4)]);
  });
});

test("jobs from before packs stay as they are, and go first", async () => {
  const database = await newDatabase();
  const raw = await rawClient(database.url);
  await migrate(
    raw,
    coreMigrations.filter(({ name }) => name < "apiforge-0006"),
  );
  await raw.query(`insert into forge_jobs (id, queue, type, tenant, payload, state, priority, run_at,
      max_attempts, request_id, created_at, lease_owner, attempt, fence)
    select 'old' || i, 'mail', 'send', 't', '{}', i, 0, 1, 3, 'r', 1,
      case i when 2 then 'w0' end, i - 1, 7
    from generate_series(1, 2) i`);
  const store = await openNode(database.url);
  await addPack(store);
  expect(ids(await store.jobs.claim("mail", "w1", 3))).toEqual(["old1", "p0", "p1"]);
  const held = { n: 2, fence: 7 };
  expect(await store.jobs.settle([{ outcome: "completed", ...held }])).toEqual([true]);
  expect(await store.jobs.find("old2")).toMatchObject({ state: "completed", attempt: 1 });
});
