import { describe, expect, test } from "vitest";
import type { ClaimedJob, JobLane, JobSettlement, NewJob, Store } from "apiforge/internal/store";
import type { OpenStore, StoreFixture } from "./fixture.ts";
import { addJob, sampleJob, sampleLane } from "./samples.ts";

const expiryMs = 10_000;

async function addKeyed(
  store: Store,
  id: string,
  lane: JobLane,
  differences: Partial<NewJob> = {},
): Promise<string> {
  return addJob(store, { id, lane, ...differences });
}

async function addMany(store: Store, count: number, lane: JobLane | null): Promise<void> {
  await store.transact("many", async (tx) => {
    for (let index = 0; index < count; index += 1) tx.insertJob(sampleJob({ lane }));
  });
}

function claim(store: Store, limit: number, keyedLimit?: number): Promise<readonly ClaimedJob[]> {
  return store.jobs.claim("mail", "w1", limit, keyedLimit);
}

async function settle(
  store: Store,
  job: ClaimedJob | undefined,
  end: { outcome: JobSettlement["outcome"]; delayMs?: number } = { outcome: "completed" },
): Promise<void> {
  if (job === undefined) throw new Error("There is no job to settle");
  const { n, fence } = job;
  const [held] = await store.jobs.settle([{ delayMs: 0, error: "it broke", ...end, n, fence }]);
  if (held !== true) throw new Error("The lease was not held");
}

function ids(jobs: readonly { readonly id: string }[]): string[] {
  return jobs.map((job) => job.id);
}

/** Of each lane: its key, its counters of running and waiting jobs, and the same counted from the rows. */
async function counters({ store }: OpenStore): Promise<readonly (readonly unknown[])[]> {
  const of = "from forge_jobs j where j.queue = l.queue and j.lane = l.key and state";
  const { value } = await store.transact("count", (tx) =>
    tx.queryText(
      `select key, running, waiting, (select count(*) ${of} = 2) as running_rows,
         (select count(*) ${of} = -1) as waiting_rows
       from forge_lanes l order by queue, key`,
      [],
    ),
  );
  return value.rows.map(({ key, ...counts }) => [key, ...Object.values(counts).map(Number)]);
}

async function states(store: Store, names: readonly string[]): Promise<(string | undefined)[]> {
  return Promise.all(names.map(async (id) => (await store.jobs.find(id))?.state));
}

/** Jobs with a key: {@link Store.jobs} and {@link Store.queues}. */
export function lanesContract(fixture: StoreFixture): void {
  describe("a keyed job", () => {
    test("waits for its lane, and runs as any other", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addKeyed(store, "a", sampleLane("k"));
      expect(await store.jobs.find("a")).toMatchObject({ state: "waiting", key: "k" });
      const [job] = await claim(store, 5);
      expect(job).toMatchObject({ id: "a", key: "k", startInMs: null, attempt: 1 });
      await settle(store, job);
      expect(await states(store, ["a"])).toEqual(["completed"]);
    });

    test("may be delayed, unique, completed in a transaction and undone with one", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const lane = sampleLane("k", { concurrency: 1 });
      await addKeyed(store, "later", lane, { delayMs: 1_000 });
      expect(await states(store, ["later"])).toEqual(["scheduled"]);
      const undone = store.transact("undone", async (tx) => {
        tx.insertJob(sampleJob({ lane }));
        await tx.insertUniqueJob(sampleJob({ lane, dedupeKey: "d" }));
        throw new Error("no");
      });
      await expect(undone).rejects.toThrow("no");
      await store.transact("twice", async (tx) => {
        await tx.insertUniqueJob(sampleJob({ id: "first", lane, dedupeKey: "d" }));
        await tx.insertUniqueJob(sampleJob({ id: "second", lane, dedupeKey: "d" }));
      });
      await open.advance(1_000);
      const [job] = await claim(store, 5);
      expect(job?.id).toBe("later");
      const lease = { n: job?.n ?? 0, fence: job?.fence ?? 0 };
      const failing = store.transact("undone", async (tx) => {
        expect(await tx.completeJob(lease)).toBe(true);
        throw new Error("no");
      });
      await expect(failing).rejects.toThrow("no");
      expect(await claim(store, 5)).toEqual([]);
      await store.transact("done", async (tx) => {
        expect(await tx.completeJob(lease)).toBe(true);
        tx.insertJob(sampleJob({ id: "follow-up", lane }));
      });
      expect(ids(await claim(store, 5))).toEqual(["first"]);
      expect(await counters(open)).toEqual([["k", 1, 1, 1, 1]]);
    });

    test("that is dead waits for its lane again when it is retried", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const lane = sampleLane("k", { concurrency: 1 });
      await addKeyed(store, "a", lane);
      const [job] = await claim(store, 1);
      await settle(store, job, { outcome: "dead" });
      await addKeyed(store, "b", lane);
      expect(await store.jobs.retryDead("a")).toBe(true);
      expect(await states(store, ["a", "b"])).toEqual(["waiting", "waiting"]);
      expect(await counters(open)).toEqual([["k", 0, 2, 0, 2]]);
      expect(ids(await claim(store, 5))).toEqual(["a"]);
    });
  });

  describe("a lane's concurrency", () => {
    test("is never exceeded, and is used in full, in the order of priority", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const lane = sampleLane("k", { concurrency: 2 });
      for (const [id, priority] of [
        ["c", 1],
        ["a", 0],
        ["b", 0],
        ["d", 2],
      ] as const) {
        await addKeyed(store, id, lane, { priority });
      }
      const jobs = await claim(store, 10);
      expect(ids(jobs)).toEqual(["a", "b"]);
      expect(await claim(store, 10)).toEqual([]);
      await settle(store, jobs[0]);
      expect(ids(await claim(store, 10))).toEqual(["c"]);
      await settle(store, jobs[1], { outcome: "retry", delayMs: 1_000 });
      expect(ids(await claim(store, 10))).toEqual(["d"]);
      await open.advance(1_000);
      expect(await claim(store, 10)).toEqual([]);
      expect(await counters(open)).toEqual([["k", 2, 1, 2, 1]]);
    });

    test.for(["completed", "retry", "dead", "released", "snoozed", "cancelled"] as const)(
      "is free again after %s, and after a stale end is not",
      async (outcome) => {
        await using open = await fixture.open();
        const { store } = open;
        const lane = sampleLane("k", { concurrency: 1 });
        await addKeyed(store, "a", lane);
        const [job] = await claim(store, 1);
        await settle(store, job, { outcome, delayMs: 60_000 });
        await addKeyed(store, "b", lane, { priority: -1 });
        expect(ids(await claim(store, 5))).toEqual(["b"]);
        const { n = 0, fence = 0 } = job ?? {};
        await store.jobs.settle([{ outcome: "completed", n, fence }]);
        expect(await claim(store, 5)).toEqual([]);
        const [[, running, waiting, ...rows] = []] = await counters(open);
        expect([running, waiting]).toEqual(rows);
        expect(running).toBe(1);
      },
    );

    test("is of the job that was put in last", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addKeyed(store, "a", sampleLane("k", { concurrency: 1 }));
      await addKeyed(store, "b", sampleLane("k", { concurrency: 2 }));
      expect(ids(await claim(store, 5))).toEqual(["a", "b"]);
    });

    test("survives the death of its process", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const lane = sampleLane("k", { concurrency: 2 });
      await addMany(store, 5, lane);
      await store.workers.register("w1");
      expect(await claim(store, 5)).toHaveLength(2);
      await open.advance(expiryMs + 1);
      expect(await store.workers.recoverExpired(expiryMs)).toBe(2);
      expect(await counters(open)).toEqual([["k", 0, 5, 0, 5]]);
      await store.workers.register("w2");
      // A process has died with both, so they go one by one.
      expect(await store.jobs.claim("mail", "w2", 5)).toHaveLength(1);
    });

    test("is never exceeded by many claims at once", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addMany(store, 40, sampleLane("a", { concurrency: 3 }));
      await addMany(store, 40, sampleLane("b", { concurrency: 5 }));
      const owners = Array.from({ length: 8 }, (_, index) => `w${index}`);
      const claims = await Promise.all(owners.map((owner) => store.jobs.claim("mail", owner, 20)));
      const rest = await claim(store, 20);
      const keys = [...claims.flat(), ...rest].map(({ key }) => key);
      expect(keys.filter((key) => key === "a")).toHaveLength(3);
      expect(keys.filter((key) => key === "b")).toHaveLength(5);
    });
  });

  describe("lanes", () => {
    test("share a claim evenly, and what one leaves goes to the others", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addMany(store, 100, sampleLane("big"));
      await addMany(store, 2, sampleLane("small"));
      await addMany(store, 100, sampleLane("other"));
      const count = (jobs: readonly ClaimedJob[], key: string): number =>
        jobs.filter((job) => job.key === key).length;
      const jobs = await claim(store, 12);
      expect(jobs).toHaveLength(12);
      expect(count(jobs, "small")).toBe(2);
      expect(count(jobs, "big")).toBeGreaterThanOrEqual(4);
      expect(count(jobs, "other")).toBeGreaterThanOrEqual(4);
    });

    test("take turns: the one served least recently goes first", async () => {
      await using open = await fixture.open();
      const { store } = open;
      for (const key of ["a", "b", "c"]) await addMany(store, 3, sampleLane(key));
      const keys: (string | null | undefined)[] = [];
      for (let index = 0; index < 6; index += 1) keys.push((await claim(store, 1))[0]?.key);
      expect(keys).toEqual(["a", "b", "c", "a", "b", "c"]);
    });

    test("and jobs without a key take turns too, so that neither starves the other", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addMany(store, 50, null);
      await addMany(store, 50, sampleLane("k"));
      const keyed: boolean[] = [];
      for (let index = 0; index < 6; index += 1) {
        keyed.push(...(await claim(store, 1)).map(({ key }) => key !== null));
      }
      expect(keyed.filter(Boolean)).toHaveLength(3);
    });

    test("fill a claim together with jobs without a key, up to the limit of each", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addMany(store, 3, null);
      await addMany(store, 10, sampleLane("k"));
      expect(await claim(store, 10, 0)).toHaveLength(3);
      expect(await claim(store, 10, 4)).toHaveLength(4);
      await addMany(store, 10, null);
      expect(await claim(store, 10)).toHaveLength(10);
      expect(await claim(store, 10)).toHaveLength(6);
      expect(await claim(store, 10)).toEqual([]);
    });

    test("are of one queue", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const lane = sampleLane("k", { concurrency: 1 });
      await addKeyed(store, "a", lane);
      await addKeyed(store, "b", lane, { queue: "other" });
      expect(ids(await claim(store, 5))).toEqual(["a"]);
      expect(ids(await store.jobs.claim("other", "w1", 5))).toEqual(["b"]);
    });

    test("that nothing is left of are swept with their last job", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addMany(store, 2, sampleLane("done"));
      await addKeyed(store, "left", sampleLane("live"));
      await addKeyed(store, "also done", sampleLane("live"));
      const jobs = await claim(store, 5);
      for (const job of jobs.filter(({ id }) => id !== "left")) await settle(store, job);
      await open.advance(2);
      expect(await store.jobs.sweepEnded(1, 1)).toBe(1);
      expect(await counters(open)).toHaveLength(2);
      expect(await store.jobs.sweepEnded(1, 10)).toBe(2);
      expect(await counters(open)).toEqual([["live", 1, 0, 1, 0]]);
    });
  });

  describe("a lane's rate", () => {
    test("spaces the starts, and hands out those of the next tenth of a second", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addMany(store, 20, sampleLane("k", { spacingUs: 40_000 }));
      const first = await claim(store, 20);
      expect(first.map(({ startInMs }) => startInMs)).toEqual([0, 40, 80]);
      expect(await claim(store, 20)).toEqual([]);
      expect(await store.jobs.nextDueInMs()).toBe(120);
      await open.advance(119);
      expect(await claim(store, 20)).toEqual([]);
      await open.advance(1);
      expect((await claim(store, 20)).map(({ startInMs }) => startInMs)).toEqual([0, 40, 80]);
    });

    test("saves up no starts while nothing waits, and gives none back", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const lane = sampleLane("k", { spacingUs: 1_000_000 });
      await addMany(store, 1, lane);
      const [job] = await claim(store, 5);
      await settle(store, job, { outcome: "released" });
      expect(await claim(store, 5)).toEqual([]);
      await open.advance(60_000);
      await addMany(store, 5, lane);
      expect(await claim(store, 5)).toHaveLength(1);
      expect(await claim(store, 5)).toEqual([]);
      await open.advance(1_000);
      expect(await claim(store, 5)).toHaveLength(1);
    });

    test("may be finer than a millisecond", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addMany(store, 500, sampleLane("k", { spacingUs: 334 }));
      const jobs = await claim(store, 500);
      expect(jobs).toHaveLength(300);
      expect(jobs.at(-1)?.startInMs).toBe(Math.ceil((299 * 334) / 1_000));
    });

    test("outlives a process that dies with its starts", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addMany(store, 3, sampleLane("k", { spacingUs: 60_000_000 }));
      await store.workers.register("w1");
      await claim(store, 5);
      await open.advance(expiryMs + 1);
      await store.workers.recoverExpired(expiryMs);
      await store.workers.register("w2");
      expect(await store.jobs.claim("mail", "w2", 5)).toEqual([]);
      await open.advance(60_000 - expiryMs - 1);
      expect(await store.jobs.claim("mail", "w2", 5)).toHaveLength(1);
    });
  });

  describe("an ordered lane", () => {
    const ordered = sampleLane("k", { ordered: true });

    test("runs one at a time by insertion", async () => {
      await using open = await fixture.open();
      const { store } = open;
      for (const id of ["a", "b", "c"]) await addKeyed(store, id, ordered);
      for (const id of ["a", "b", "c"]) {
        const jobs = await claim(store, 5);
        expect(ids(jobs)).toEqual([id]);
        expect(await claim(store, 5)).toEqual([]);
        await settle(store, jobs[0]);
      }
    });

    test.for(["retry", "snoozed"] as const)("waits for a job after %s", async (outcome) => {
      await using open = await fixture.open();
      const { store } = open;
      for (const id of ["a", "b"]) await addKeyed(store, id, ordered);
      await addKeyed(store, "other", sampleLane("other", { ordered: true }));
      const [first, other] = await claim(store, 5);
      expect(other?.id).toBe("other");
      await settle(store, first, { outcome, delayMs: 2_000 });
      expect(await states(store, ["a", "b"])).toEqual(["waiting", "waiting"]);
      expect(await claim(store, 5)).toEqual([]);
      expect(await store.jobs.nextDueInMs()).toBe(2_000);
      await open.advance(1_999);
      expect(await claim(store, 5)).toEqual([]);
      await open.advance(1);
      const [again] = await claim(store, 5);
      expect(again).toMatchObject({ id: "a", attempt: outcome === "retry" ? 2 : 1 });
      await settle(store, again, { outcome: "dead" });
      expect(ids(await claim(store, 5))).toEqual(["b"]);
    });

    test.for(["released", "unregister"] as const)(
      "keeps the place of a job after %s",
      async (how) => {
        await using open = await fixture.open();
        const { store } = open;
        for (const id of ["a", "b"]) await addKeyed(store, id, ordered);
        await store.workers.register("w1");
        const [job] = await claim(store, 5);
        if (how === "released") await settle(store, job, { outcome: how });
        else await store.workers.unregister("w1");
        expect(ids(await claim(store, 5))).toEqual(["a"]);
        expect(await claim(store, 5)).toEqual([]);
      },
    );
  });

  describe("a job that a process died with", () => {
    async function dieWith(open: OpenStore, owner: string, count: number): Promise<void> {
      const { store } = open;
      await store.workers.register(owner);
      expect(await store.jobs.claim("mail", owner, count)).toHaveLength(count);
      await open.advance(expiryMs + 1);
      await store.workers.recoverExpired(expiryMs);
    }

    test.for([
      ["without a key", null],
      ["with a key", sampleLane("k")],
    ] as const)("is never held together with another such: %s", async ([, lane]) => {
      await using open = await fixture.open();
      const { store } = open;
      await addMany(store, 4, lane);
      await dieWith(open, "w1", 4);
      await addKeyed(store, "fresh", sampleLane("fresh"));
      await addJob(store, { id: "plain" });
      await store.workers.register("w2");
      const suspect = (jobs: readonly ClaimedJob[]): ClaimedJob[] =>
        jobs.filter(({ id }) => id !== "fresh" && id !== "plain");
      const jobs = await store.jobs.claim("mail", "w2", 10);
      expect(suspect(jobs)).toHaveLength(1);
      expect(ids(jobs)).toEqual(expect.arrayContaining(["fresh", "plain"]));
      expect(await store.jobs.claim("mail", "w2", 10)).toEqual([]);
      expect(await store.jobs.claim("mail", "w3", 10)).toHaveLength(1);
      await settle(store, suspect(jobs)[0]);
      expect(await store.jobs.claim("mail", "w2", 10)).toHaveLength(1);
    });

    test("buries itself, and none of the others", async () => {
      await using open = await fixture.open();
      const { store } = open;
      for (const id of ["poison", "b", "c"]) await addJob(store, { id });
      await dieWith(open, "w0", 3);
      // Whoever holds the poison dies; all others finish what they hold.
      for (let process = 1; process < 20; process += 1) {
        const owner = `w${process}`;
        await store.workers.register(owner);
        const jobs = await store.jobs.claim("mail", owner, 3);
        if (ids(jobs).includes("poison")) {
          await open.advance(expiryMs + 1);
          await store.workers.recoverExpired(expiryMs);
        } else for (const job of jobs) await settle(store, job);
      }
      expect(await states(store, ["poison", "b", "c"])).toEqual(["dead", "completed", "completed"]);
    });
  });

  describe("a pause", () => {
    test("holds back a queue, and lets running jobs end", async () => {
      await using open = await fixture.open();
      const { store, clock } = open;
      await addMany(store, 2, null);
      await addMany(store, 2, sampleLane("k"));
      const [running] = await claim(store, 1);
      await store.queues.pause("mail", null);
      await store.queues.pause("mail", null);
      expect(await store.queues.paused(10)).toEqual([
        { queue: "mail", key: null, pausedAt: clock.now() },
      ]);
      await settle(store, running);
      expect(await claim(store, 10)).toEqual([]);
      await addJob(store, { id: "other", queue: "other" });
      expect(ids(await store.jobs.claim("other", "w1", 10))).toEqual(["other"]);
      expect(await store.queues.resume("mail", null)).toBe(true);
      expect(await store.queues.resume("mail", null)).toBe(false);
      expect(await claim(store, 10)).toHaveLength(3);
    });

    test("holds back a key, also one that had no job yet", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await store.queues.pause("mail", "held");
      await addKeyed(store, "a", sampleLane("held"));
      await addKeyed(store, "b", sampleLane("free"));
      expect(ids(await claim(store, 10))).toEqual(["b"]);
      expect(await store.queues.paused(10)).toMatchObject([{ queue: "mail", key: "held" }]);
      expect(await store.queues.resume("mail", "held")).toBe(true);
      expect(ids(await claim(store, 10))).toEqual(["a"]);
      expect(await store.queues.resume("mail", "held")).toBe(false);
      expect(await store.queues.resume("mail", "unknown")).toBe(false);
    });

    if (fixture.persistent) {
      test("outlives the process", async () => {
        await using open = await fixture.open();
        await addMany(open.store, 1, null);
        await addMany(open.store, 1, sampleLane("k"));
        await open.store.queues.pause("mail", null);
        await open.store.queues.pause("mail", "k");
        await open.crash();
        expect(await claim(open.store, 10)).toEqual([]);
        await open.store.queues.resume("mail", null);
        expect((await claim(open.store, 10)).map(({ key }) => key)).toEqual([null]);
      });
    }
  });

  describe("cancelling", () => {
    test.for(["ready", "scheduled", "waiting"] as const)("ends a %s job at once", async (state) => {
      await using open = await fixture.open();
      const { store, clock } = open;
      const lane = state === "waiting" ? sampleLane("k") : null;
      await addJob(store, { id: "a", lane, delayMs: state === "scheduled" ? 1_000 : 0 });
      expect(await states(store, ["a"])).toEqual([state]);
      expect(await store.jobs.cancel("a")).toBe("cancelled");
      expect(await store.jobs.find("a")).toMatchObject({ finishedAt: clock.now() });
      await open.advance(1_000);
      expect(await claim(store, 10)).toEqual([]);
      expect(await store.jobs.cancel("a")).toBe("cancelled");
      expect(await store.jobs.cancel("unknown")).toBeUndefined();
      expect(await store.jobs.sweepEnded(1, 10)).toBe(1);
    });

    test.for([
      ["retry", "cancelled"],
      ["snoozed", "cancelled"],
      ["released", "cancelled"],
      ["cancelled", "cancelled"],
      ["completed", "completed"],
      ["dead", "dead"],
    ] as const)("a running job is asked for; after %s it is %s", async ([outcome, state]) => {
      await using open = await fixture.open();
      const { store } = open;
      await addKeyed(store, "a", sampleLane("k", { concurrency: 1 }), { dedupeKey: "d" });
      const [job] = await claim(store, 1);
      expect(await store.jobs.cancelRequests("w1")).toEqual([]);
      expect(await store.jobs.cancel("a")).toBe("running");
      expect(await store.jobs.cancel("a")).toBe("running");
      expect(await store.jobs.cancelRequests("w1")).toEqual(["a"]);
      expect(await store.jobs.cancelRequests("w2")).toEqual([]);
      await settle(store, job, { outcome, delayMs: 1_000 });
      expect(await states(store, ["a"])).toEqual([state]);
      expect(await store.jobs.cancel("a")).toBe(state);
      expect(await counters(open)).toEqual([["k", 0, 0, 0, 0]]);
      await addKeyed(store, "b", sampleLane("k"), { dedupeKey: "d" });
      expect(ids(await claim(store, 5))).toEqual(["b"]);
    });

    test("a running job whose process dies ends it", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addJob(store, { id: "a" });
      await store.workers.register("w1");
      await claim(store, 1);
      await store.jobs.cancel("a");
      await store.workers.unregister("w1");
      expect(await states(store, ["a"])).toEqual(["cancelled"]);
    });
  });

  describe("a deadline", () => {
    test.for([
      ["a ready job", null, 0],
      ["a keyed job", sampleLane("k"), 0],
      ["a delayed job", null, 60_000],
    ] as const)("buries %s that was not begun by then", async ([, lane, delayMs]) => {
      await using open = await fixture.open();
      const { store, clock } = open;
      const at = clock.now();
      await addJob(store, { id: "a", lane, delayMs, deadlineMs: 1_000 });
      expect((await store.jobs.find("a"))?.deadlineAt).toBe(at + 1_000);
      await open.advance(1_000);
      expect(await claim(store, 10)).toEqual([]);
      const job = await store.jobs.find("a");
      expect(job).toMatchObject({ state: "dead", attempt: 0, finishedAt: at + 1_000 });
      expect(job?.lastError).toMatch(/^deadline_exceeded/);
      expect(await store.jobs.retryDead("a")).toBe(true);
      expect(await claim(store, 10)).toMatchObject([{ id: "a", deadlineInMs: null }]);
    });

    test("is told with the lease, and holds for every attempt", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addJob(store, { id: "a", deadlineMs: 1_000 });
      await open.advance(999);
      const [job] = await claim(store, 10);
      expect(job?.deadlineInMs).toBe(1);
      await settle(store, job, { outcome: "retry", delayMs: 0 });
      await open.advance(1);
      expect(await claim(store, 10)).toEqual([]);
      expect(await states(store, ["a"])).toEqual(["dead"]);
    });

    test("of more jobs than one claim buries is kept all the same", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await store.transact("many", async (tx) => {
        for (let index = 0; index < 1_500; index += 1) {
          tx.insertJob(sampleJob({ deadlineMs: 10 }));
        }
      });
      await open.advance(10);
      await addJob(store, { id: "fresh" });
      expect(ids(await claim(store, 10))).toEqual(["fresh"]);
      expect(await claim(store, 10)).toEqual([]);
      expect(await store.jobs.list({ state: "dead", limit: 2_000 })).toHaveLength(1_500);
    });
  });
}
