import { describe, expect, test } from "vitest";
import type { ClaimedJob, JobLease, JobSettlement, Store } from "apiforge/internal/store";
import type { StoreFixture } from "./fixture.ts";
import { addJob, addNote, noteIds, sampleJob } from "./samples.ts";

const hourMs = 3_600_000;

/** Registers `owner` and leases up to `limit` jobs of queue `mail` to it. */
async function claim(store: Store, owner: string, limit: number): Promise<readonly ClaimedJob[]> {
  await store.workers.register(owner);
  return store.jobs.claim("mail", owner, limit);
}

async function claimOne(store: Store, owner = "w1"): Promise<ClaimedJob> {
  const [job] = await store.jobs.claim("mail", owner, 1);
  if (job === undefined) throw new Error("There is no job to claim");
  return job;
}

function leaseOf({ n, fence }: JobLease): JobLease {
  return { n, fence };
}

function ids(jobs: readonly { readonly id: string }[]): string[] {
  return jobs.map((job) => job.id);
}

async function settleOne(store: Store, settlement: JobSettlement): Promise<boolean | undefined> {
  return (await store.jobs.settle([settlement]))[0];
}

/** Runs a new job into the dead letters and answers its id. */
async function addDeadJob(store: Store, differences: Parameters<typeof sampleJob>[0] = {}) {
  const id = await addJob(store, { queue: "graves", ...differences });
  const [job] = await store.jobs.claim(differences.queue ?? "graves", "w1", 1);
  if (job?.id !== id) throw new Error("Another job was claimed");
  await store.jobs.settle([{ outcome: "dead", error: "it broke", ...leaseOf(job) }]);
  return id;
}

/** {@link Store.jobs}, and jobs inside of transactions. */
export function jobsContract(fixture: StoreFixture): void {
  describe("a job", () => {
    test("is found as it was put in", async () => {
      await using open = await fixture.open();
      const { store, clock } = open;
      const at = clock.now();
      const id = await addJob(store, {
        priority: -5,
        payload: JSON.stringify({ text: "\u0000 \u{1f600} \ud800" }),
        tenant: "ten_ü",
        maxAttempts: 9,
      });
      expect(await store.jobs.find(id)).toEqual({
        id,
        queue: "mail",
        type: "send",
        requestId: "req_1",
        dedupeKey: null,
        key: null,
        deadlineAt: null,
        priority: -5,
        payload: JSON.stringify({ text: "\u0000 \u{1f600} \ud800" }),
        tenant: "ten_ü",
        maxAttempts: 9,
        state: "ready",
        attempt: 0,
        runAt: at,
        createdAt: at,
        finishedAt: null,
        lastError: null,
      });
      expect(await store.jobs.find("job_none")).toBeUndefined();
    });

    test("carries the span that it was enqueued in, with a key, a dedupe key, both or none", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
      const lane = { key: "k", concurrency: null, spacingUs: 0, ordered: false };
      for (const dedupeKey of [null, "d1"]) {
        await addJob(store, { traceparent, dedupeKey });
        await addJob(store, { traceparent, lane, dedupeKey: dedupeKey && "d2" });
      }
      await addJob(store);
      const jobs = await claim(store, "w1", 10);
      const carried = jobs.map((job) => job.traceparent);
      expect(carried.filter((each) => each === traceparent)).toHaveLength(4);
      expect(carried.filter((each) => each === null)).toHaveLength(1);
    });

    test("is leased with all that running it takes", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const id = await addJob(store, { payload: '{"a":1}', tenant: "ten_2", requestId: "req_2" });
      const [job] = await claim(store, "w1", 5);
      expect(job).toEqual({
        n: expect.any(Number),
        id,
        queue: "mail",
        type: "send",
        tenant: "ten_2",
        payload: '{"a":1}',
        attempt: 1,
        maxAttempts: 3,
        requestId: "req_2",
        fence: expect.any(Number),
        key: null,
        deaths: 0,
        startInMs: null,
        deadlineInMs: null,
        traceparent: null,
      });
      expect(await store.jobs.find(id)).toMatchObject({ state: "running", attempt: 1 });
    });

    test("exists exactly when its commit does", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const job = sampleJob();
      const undone = store.transact("undone", async (tx) => {
        tx.insertJob(job);
        await tx.insertUniqueJob(sampleJob({ dedupeKey: "k" }));
        throw new Error("no");
      });
      await expect(undone).rejects.toThrow("no");
      expect(await claim(store, "w1", 10)).toEqual([]);
      expect(await store.jobs.list({ limit: 10 })).toEqual([]);
    });
  });

  describe("a claim", () => {
    test("takes by priority, then by insertion", async () => {
      await using open = await fixture.open();
      const { store } = open;
      for (const [id, priority] of [
        ["c", 5],
        ["b1", 0],
        ["b2", 0],
        ["a", -1],
        ["d", 1_000_000],
      ] as const) {
        await addJob(store, { id, priority });
      }
      expect(ids(await claim(store, "w1", 3))).toEqual(["a", "b1", "b2"]);
      expect(ids(await claim(store, "w1", 3))).toEqual(["c", "d"]);
    });

    test("takes from its queue only, and up to its limit", async () => {
      await using open = await fixture.open();
      const { store } = open;
      for (const id of ["a", "b", "c"]) await addJob(store, { id });
      await addJob(store, { id: "other", queue: "other" });
      expect(ids(await claim(store, "w1", 2))).toEqual(["a", "b"]);
      expect(ids(await claim(store, "w1", 2))).toEqual(["c"]);
      expect(await claim(store, "w1", 2)).toEqual([]);
      expect(ids(await store.jobs.claim("other", "w1", 2))).toEqual(["other"]);
    });

    test("takes a delayed job when it is due, not one millisecond before", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const id = await addJob(store, { delayMs: 5_000 });
      expect((await store.jobs.find(id))?.state).toBe("scheduled");
      await open.advance(4_999);
      expect(await claim(store, "w1", 1)).toEqual([]);
      await open.advance(1);
      expect(ids(await claim(store, "w1", 1))).toEqual([id]);
    });

    test("takes jobs that became due in the order of their priority, before later ones", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addJob(store, { id: "late", delayMs: 2_000, priority: 1 });
      await addJob(store, { id: "early", delayMs: 1_000, priority: 1 });
      await addJob(store, { id: "urgent", delayMs: 2_000, priority: 0 });
      await open.advance(2_000);
      await addJob(store, { id: "new", priority: 1 });
      // Insertion decides between equals, not the instant at which they became due.
      expect(ids(await claim(store, "w1", 10))).toEqual(["urgent", "late", "early", "new"]);
    });

    test("never gives one job to two owners", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await store.transact("many", async (tx) => {
        for (let index = 0; index < 100; index += 1) tx.insertJob(sampleJob());
      });
      const owners = Array.from({ length: 8 }, (_, index) => `w${index}`);
      const claims = owners.map(async (owner) => {
        const taken: ClaimedJob[] = [];
        for (;;) {
          const batch = await store.jobs.claim("mail", owner, 7);
          if (batch.length === 0) return taken;
          expect(batch.length).toBeLessThanOrEqual(7);
          taken.push(...batch);
        }
      });
      const all = (await Promise.all(claims)).flat();
      // Under contention a claim may come back with less; what remains is there for the next.
      all.push(...(await store.jobs.claim("mail", "w0", 100)));
      expect(new Set(ids(all)).size).toBe(100);
      expect(all).toHaveLength(100);
    });

    test("gives every lease of a job another fence", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addJob(store);
      const fences: number[] = [];
      for (const outcome of ["released", "released", "released"] as const) {
        const job = await claimOne(store);
        fences.push(job.fence);
        await settleOne(store, { outcome, ...leaseOf(job) });
      }
      expect(new Set(fences).size).toBe(3);
    });
  });

  describe("settling", () => {
    test("completed ends a job", async () => {
      await using open = await fixture.open();
      const { store, clock } = open;
      const id = await addJob(store);
      const job = await claimOne(store);
      await open.advance(1_234);
      expect(await settleOne(store, { outcome: "completed", ...leaseOf(job) })).toBe(true);
      expect(await store.jobs.find(id)).toMatchObject({
        state: "completed",
        attempt: 1,
        finishedAt: clock.now(),
        lastError: null,
      });
      expect(await claim(store, "w1", 1)).toEqual([]);
    });

    test("retry makes it wait, and keeps the error and the attempts", async () => {
      await using open = await fixture.open();
      const { store, clock } = open;
      const id = await addJob(store);
      const job = await claimOne(store);
      const retry = {
        outcome: "retry",
        delayMs: 2_000,
        error: "it broke",
        ...leaseOf(job),
      } as const;
      expect(await settleOne(store, retry)).toBe(true);
      expect(await store.jobs.find(id)).toMatchObject({
        state: "scheduled",
        attempt: 1,
        runAt: clock.now() + 2_000,
        lastError: "it broke",
        finishedAt: null,
      });
      expect(await store.jobs.claim("mail", "w1", 1)).toEqual([]);
      await open.advance(2_000);
      expect(await claimOne(store)).toMatchObject({ id, attempt: 2 });
    });

    test("retry without a wait makes it ready at once", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const id = await addJob(store);
      const job = await claimOne(store);
      await settleOne(store, { outcome: "retry", delayMs: 0, error: "again", ...leaseOf(job) });
      expect((await store.jobs.find(id))?.state).toBe("ready");
      expect(await claimOne(store)).toMatchObject({ id, attempt: 2 });
    });

    test("dead puts it among the dead letters", async () => {
      await using open = await fixture.open();
      const { store, clock } = open;
      const id = await addJob(store);
      const job = await claimOne(store);
      await settleOne(store, { outcome: "dead", error: "it broke", ...leaseOf(job) });
      expect(await store.jobs.find(id)).toMatchObject({
        state: "dead",
        attempt: 1,
        finishedAt: clock.now(),
        lastError: "it broke",
      });
      await open.advance(hourMs);
      expect(await claim(store, "w1", 1)).toEqual([]);
    });

    test("released gives it back as if it had not been claimed", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const id = await addJob(store, { maxAttempts: 1 });
      const job = await claimOne(store);
      expect(await settleOne(store, { outcome: "released", ...leaseOf(job) })).toBe(true);
      expect(await store.jobs.find(id)).toMatchObject({
        state: "ready",
        attempt: 0,
        lastError: null,
      });
      expect(await claimOne(store)).toMatchObject({ id, attempt: 1 });
    });

    test("answers position by position, and leaves alone what is not held", async () => {
      await using open = await fixture.open();
      const { store } = open;
      for (const id of ["a", "b", "c", "d", "e"]) await addJob(store, { id });
      const jobs = await claim(store, "w1", 5);
      const [a, b, c, d, e] = jobs.map(leaseOf);
      if (a === undefined || b === undefined || c === undefined) throw new Error("Missing jobs");
      if (d === undefined || e === undefined) throw new Error("Missing jobs");
      const stale = { ...b, fence: b.fence + 1 };
      const settled = await store.jobs.settle([
        { outcome: "completed", ...a },
        { outcome: "completed", ...stale },
        { outcome: "retry", delayMs: 0, error: "x", ...c },
        { outcome: "completed", ...a },
        { outcome: "dead", error: "x", n: 1_000_000, fence: 1 },
        { outcome: "dead", error: "x", ...d },
        { outcome: "released", ...e },
      ]);
      expect(settled).toEqual([true, false, true, false, false, true, true]);
      const states = await Promise.all(
        jobs.map(async (job) => (await store.jobs.find(job.id))?.state),
      );
      expect(states).toEqual(["completed", "running", "ready", "dead", "ready"]);
    });

    test("nothing answers nothing", async () => {
      await using open = await fixture.open();
      expect(await open.store.jobs.settle([])).toEqual([]);
    });

    test.for(["completed", "retry", "dead", "released"] as const)(
      "%s of a job that another owner has now changes nothing",
      async (outcome) => {
        await using open = await fixture.open();
        const { store } = open;
        const id = await addJob(store);
        const [first] = await claim(store, "w1", 1);
        await store.workers.unregister("w1");
        const [second] = await claim(store, "w2", 1);
        if (first === undefined || second === undefined) throw new Error("Missing claims");
        expect(second.id).toBe(id);
        expect(second.fence).not.toBe(first.fence);
        const before = await store.jobs.find(id);
        const end = { outcome, delayMs: 1_000, error: "stale", ...leaseOf(first) };
        expect(await settleOne(store, end)).toBe(false);
        expect(await store.jobs.find(id)).toEqual(before);
        expect(await settleOne(store, { outcome: "completed", ...leaseOf(second) })).toBe(true);
      },
    );

    test("many at once settles each", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await store.transact("many", async (tx) => {
        for (let index = 0; index < 200; index += 1) tx.insertJob(sampleJob());
      });
      const jobs = await claim(store, "w1", 200);
      const settled = await store.jobs.settle(
        jobs.map((job) => ({ outcome: "completed", ...leaseOf(job) })),
      );
      expect(settled).toHaveLength(200);
      expect(settled.every(Boolean)).toBe(true);
      expect(await store.jobs.list({ state: "completed", limit: 500 })).toHaveLength(200);
    });
  });

  describe("completing inside a transaction", () => {
    test("commits the completion together with the effects", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const id = await addJob(store);
      const job = await claimOne(store);
      const undone = store.transact("undone", async (tx) => {
        expect(await tx.completeJob(leaseOf(job))).toBe(true);
        await addNote(tx, "undone");
        throw new Error("no");
      });
      await expect(undone).rejects.toThrow("no");
      expect((await store.jobs.find(id))?.state).toBe("running");
      await store.transact("done", async (tx) => {
        expect(await tx.completeJob(leaseOf(job))).toBe(true);
        await addNote(tx, "done");
        tx.insertJob(sampleJob({ id: "follow-up" }));
      });
      expect((await store.jobs.find(id))?.state).toBe("completed");
      expect((await store.jobs.find("follow-up"))?.state).toBe("ready");
      expect(await noteIds(store)).toEqual(["done"]);
    });

    test("answers false for a lease that is lost or ended", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addJob(store);
      const job = await claimOne(store);
      const stale = { ...leaseOf(job), fence: job.fence - 1 };
      const complete = (lease: JobLease) =>
        store.transact("complete", (tx) => tx.completeJob(lease)).then(({ value }) => value);
      expect(await complete(stale)).toBe(false);
      expect(await complete(leaseOf(job))).toBe(true);
      expect(await complete(leaseOf(job))).toBe(false);
    });
  });

  describe("a dead job", () => {
    test("is retried with a full set of attempts, once", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const id = await addDeadJob(store);
      expect(await store.jobs.retryDead(id)).toBe(true);
      expect(await store.jobs.find(id)).toMatchObject({
        state: "ready",
        attempt: 0,
        finishedAt: null,
      });
      expect(await store.jobs.retryDead(id)).toBe(false);
      const [job] = await store.jobs.claim("graves", "w1", 1);
      expect(job).toMatchObject({ id, attempt: 1, maxAttempts: 3 });
    });

    test("is not retried when it is not dead, or not there", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const id = await addJob(store);
      expect(await store.jobs.retryDead(id)).toBe(false);
      expect(await store.jobs.retryDead("job_none")).toBe(false);
      const job = await claimOne(store);
      expect(await store.jobs.retryDead(id)).toBe(false);
      await settleOne(store, { outcome: "completed", ...leaseOf(job) });
      expect(await store.jobs.retryDead(id)).toBe(false);
    });

    test("stays when completed jobs are swept", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const id = await addDeadJob(store);
      await open.advance(1_000 * hourMs);
      expect(await store.jobs.sweepEnded(hourMs, 100)).toBe(0);
      expect((await store.jobs.find(id))?.state).toBe("dead");
    });
  });

  describe("a dedupe key", () => {
    async function addUnique(store: Store, differences: Parameters<typeof sampleJob>[0] = {}) {
      const job = sampleJob({ dedupeKey: "k", ...differences });
      return (await store.transact("unique", (tx) => tx.insertUniqueJob(job))).value;
    }

    test("lets one job in while it waits or runs", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const first = await addUnique(store, { delayMs: 1_000 });
      expect(first.inserted).toBe(true);
      const again = { id: first.id, inserted: false };
      expect(await addUnique(store)).toEqual(again);
      await open.advance(1_000);
      const [job] = await claim(store, "w1", 5);
      expect(job?.id).toBe(first.id);
      expect(await addUnique(store)).toEqual(again);
      expect(await store.jobs.list({ limit: 10 })).toHaveLength(1);
      expect((await store.jobs.find(first.id))?.dedupeKey).toBe("k");
    });

    test("is of one type", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addUnique(store);
      expect((await addUnique(store, { type: "other" })).inserted).toBe(true);
      expect((await addUnique(store, { dedupeKey: "K" })).inserted).toBe(true);
    });

    test.for(["completed", "dead"] as const)("is free again after %s", async (outcome) => {
      await using open = await fixture.open();
      const { store } = open;
      const first = await addUnique(store);
      const job = await claimOne(store);
      await settleOne(store, { outcome, error: "x", ...leaseOf(job) });
      const second = await addUnique(store);
      expect(second.inserted).toBe(true);
      expect(second.id).not.toBe(first.id);
    });

    test("is known inside the transaction that took it, and free when that is rolled back", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const undone = store.transact("twice", async (tx) => {
        const first = await tx.insertUniqueJob(sampleJob({ dedupeKey: "k" }));
        const second = await tx.insertUniqueJob(sampleJob({ dedupeKey: "k" }));
        expect([first.inserted, second.inserted]).toEqual([true, false]);
        expect(second.id).toBe(first.id);
        throw new Error("no");
      });
      await expect(undone).rejects.toThrow("no");
      expect((await addUnique(store)).inserted).toBe(true);
    });

    test("lets one job in however many want it at once", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const all = await Promise.all(Array.from({ length: 30 }, () => addUnique(store)));
      expect(all.filter((one) => one.inserted)).toHaveLength(1);
      expect(new Set(ids(all)).size).toBe(1);
    });

    test("that a live job holds keeps a dead one dead", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const dead = await addDeadJob(store, { dedupeKey: "k" });
      const live = await addUnique(store);
      expect(live.inserted).toBe(true);
      await expect(store.jobs.retryDead(dead)).rejects.toMatchObject({ code: "job_duplicate" });
      expect((await store.jobs.find(dead))?.state).toBe("dead");
      const job = await claimOne(store);
      await settleOne(store, { outcome: "completed", ...leaseOf(job) });
      expect(await store.jobs.retryDead(dead)).toBe(true);
      expect(await addUnique(store)).toEqual({ id: dead, inserted: false });
    });
  });

  describe("the next due job", () => {
    test("is the nearest of all queues, never in the past", async () => {
      await using open = await fixture.open();
      const { store } = open;
      expect(await store.jobs.nextDueInMs()).toBeUndefined();
      await addJob(store);
      expect(await store.jobs.nextDueInMs()).toBeUndefined();
      await addJob(store, { delayMs: 9_000 });
      await addJob(store, { delayMs: 4_000, queue: "other" });
      expect(await store.jobs.nextDueInMs()).toBe(4_000);
      await open.advance(1_500);
      expect(await store.jobs.nextDueInMs()).toBe(2_500);
      await open.advance(4_000);
      expect(await store.jobs.nextDueInMs()).toBe(0);
      await store.jobs.claim("other", "w1", 1);
      expect(await store.jobs.nextDueInMs()).toBe(3_500);
    });
  });

  describe("a sweep of completed jobs", () => {
    test("takes what ended longer ago than the retention, up to its limit", async () => {
      await using open = await fixture.open();
      const { store } = open;
      for (const id of ["a", "b", "c", "running"]) await addJob(store, { id });
      const jobs = await claim(store, "w1", 4);
      for (const job of jobs.slice(0, 3)) {
        await settleOne(store, { outcome: "completed", ...leaseOf(job) });
        await open.advance(1_000);
      }
      // The first ended 1 s before the second, that 1 s before the third.
      await open.advance(hourMs - 3_000);
      expect(await store.jobs.sweepEnded(hourMs, 10)).toBe(0);
      await open.advance(1);
      expect(await store.jobs.sweepEnded(hourMs, 10)).toBe(1);
      expect(await store.jobs.find("a")).toBeUndefined();
      await open.advance(hourMs);
      expect(await store.jobs.sweepEnded(hourMs, 1)).toBe(1);
      expect(await store.jobs.find("b")).toBeUndefined();
      expect(await store.jobs.sweepEnded(hourMs, 10)).toBe(1);
      expect((await store.jobs.find("running"))?.state).toBe("running");
    });
  });

  describe("the list of jobs", () => {
    test("is newest first, by state and type, up to its limit", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addJob(store, { id: "a" });
      await addJob(store, { id: "b", type: "other" });
      await addJob(store, { id: "c" });
      await addJob(store, { id: "d", delayMs: 1_000 });
      const [job] = await claim(store, "w1", 1);
      expect(job?.id).toBe("a");
      const list = async (filter: Parameters<typeof store.jobs.list>[0]) =>
        ids(await store.jobs.list(filter));
      expect(await list({ limit: 10 })).toEqual(["d", "c", "b", "a"]);
      expect(await list({ limit: 2 })).toEqual(["d", "c"]);
      expect(await list({ type: "send", limit: 10 })).toEqual(["d", "c", "a"]);
      expect(await list({ state: "running", limit: 10 })).toEqual(["a"]);
      expect(await list({ state: "ready", type: "send", limit: 10 })).toEqual(["c"]);
      expect(await list({ state: "scheduled", limit: 10 })).toEqual(["d"]);
      expect(await list({ state: "dead", limit: 10 })).toEqual([]);
    });
  });
}
