import { describe, expect, test } from "vitest";
import type { Store } from "apiforge/internal/store";
import { addJob } from "./samples.ts";
import type { StoreFixture } from "./fixture.ts";

const expiryMs = 10_000;

async function states(store: Store, ids: readonly string[]): Promise<(string | undefined)[]> {
  return Promise.all(ids.map(async (id) => (await store.jobs.find(id))?.state));
}

/** Heartbeats, and what becomes of the jobs of those that stop: {@link Store.workers}. */
export function workersContract(fixture: StoreFixture): void {
  describe("an owner", () => {
    test("lives from its registration, and is unknown before", async () => {
      await using open = await fixture.open();
      const { workers } = open.store;
      expect(await workers.heartbeat("w1")).toBe(false);
      await workers.register("w1");
      expect(await workers.heartbeat("w1")).toBe(true);
      await workers.unregister("w1");
      expect(await workers.heartbeat("w1")).toBe(false);
    });

    test("may register again", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const id = await addJob(store);
      await store.workers.register("w1");
      await store.jobs.claim("mail", "w1", 1);
      await store.workers.register("w1");
      expect(await states(store, [id])).toEqual(["running"]);
      expect(await store.workers.heartbeat("w1")).toBe(true);
    });

    test("gives back what it holds when it leaves, and nothing else", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const [held, waiting] = [await addJob(store), await addJob(store)];
      await store.workers.register("w1");
      await store.jobs.claim("mail", "w1", 1);
      await store.workers.unregister("w1");
      expect(await states(store, [held, waiting])).toEqual(["ready", "ready"]);
      expect((await store.jobs.find(held))?.attempt).toBe(0);
      expect((await store.jobs.find(waiting))?.attempt).toBe(0);
    });

    test("that leaves without having come is no error", async () => {
      await using open = await fixture.open();
      await expect(open.store.workers.unregister("w9")).resolves.toBeUndefined();
    });
  });

  describe("recovery", () => {
    test("takes the jobs of an owner whose heartbeat is too old, not one millisecond before", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const id = await addJob(store);
      await store.workers.register("w1");
      const [job] = await store.jobs.claim("mail", "w1", 1);
      await open.advance(expiryMs);
      expect(await store.workers.recoverExpired(expiryMs)).toBe(0);
      expect(await states(store, [id])).toEqual(["running"]);
      await open.advance(1);
      expect(await store.workers.recoverExpired(expiryMs)).toBe(1);
      expect(await store.workers.heartbeat("w1")).toBe(false);
      expect(await store.jobs.find(id)).toMatchObject({ state: "ready", attempt: 0 });
      expect((await store.jobs.find(id))?.lastError).toMatch(/process died/);
      if (job === undefined) throw new Error("There was no job");
      const late = await store.jobs.settle([{ outcome: "completed", n: job.n, fence: job.fence }]);
      expect(late).toEqual([false]);
      const [again] = await store.jobs.claim("mail", "w2", 1);
      expect(again).toMatchObject({ id, attempt: 1 });
    });

    test("leaves those alone who say that they live", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const id = await addJob(store);
      await store.workers.register("w1");
      await store.jobs.claim("mail", "w1", 1);
      for (let beat = 0; beat < 5; beat += 1) {
        await open.advance(expiryMs - 1);
        expect(await store.workers.heartbeat("w1")).toBe(true);
        expect(await store.workers.recoverExpired(expiryMs)).toBe(0);
      }
      expect(await states(store, [id])).toEqual(["running"]);
    });

    test("buries a job that five processes died with, whatever its attempts", async () => {
      await using open = await fixture.open();
      const { store, clock } = open;
      const id = await addJob(store, { maxAttempts: 1 });
      for (let death = 1; death <= 5; death += 1) {
        expect(await states(store, [id])).toEqual(["ready"]);
        await store.workers.register(`w${death}`);
        expect(await store.jobs.claim("mail", `w${death}`, 1)).toHaveLength(1);
        await open.advance(expiryMs + 1);
        expect(await store.workers.recoverExpired(expiryMs)).toBe(1);
      }
      expect(await store.jobs.find(id)).toMatchObject({
        state: "dead",
        attempt: 0,
        finishedAt: clock.now(),
      });
      expect((await store.jobs.find(id))?.lastError).toMatch(/process died/);
      expect(await store.jobs.retryDead(id)).toBe(true);
      await store.workers.register("w6");
      await store.jobs.claim("mail", "w6", 1);
      await open.advance(expiryMs + 1);
      await store.workers.recoverExpired(expiryMs);
      expect(await states(store, [id])).toEqual(["ready"]);
    });

    test("takes what an owner claimed after it was declared dead", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const id = await addJob(store);
      await store.workers.register("w1");
      await open.advance(expiryMs + 1);
      await store.workers.recoverExpired(expiryMs);
      // The stalled process wakes up, claims before its next heartbeat, and dies.
      expect(await store.jobs.claim("mail", "w1", 1)).toHaveLength(1);
      await store.workers.register("w2");
      await store.workers.recoverExpired(expiryMs);
      expect(await states(store, [id])).toEqual(["ready"]);
      expect(await store.workers.recoverExpired(expiryMs)).toBe(0);
    });

    test("takes each lost job once, though many ask at the same time", async () => {
      await using open = await fixture.open();
      const { store } = open;
      for (let index = 0; index < 5; index += 1) await addJob(store);
      await store.workers.register("w1");
      await store.jobs.claim("mail", "w1", 5);
      await open.advance(expiryMs + 1);
      const counts = await Promise.all(
        Array.from({ length: 6 }, () => store.workers.recoverExpired(expiryMs)),
      );
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5);
    });
  });

  test("a new process takes over at once where there can be only one, and waits where there are many", async () => {
    await using open = await fixture.open();
    const { store } = open;
    const id = await addJob(store);
    await store.workers.register("before");
    await store.jobs.claim("mail", "before", 1);
    await store.workers.register("after");
    const alone = store.capabilities.singleProcess;
    expect(await states(store, [id])).toEqual([alone ? "ready" : "running"]);
    expect(await store.workers.heartbeat("before")).toBe(!alone);
  });

  if (fixture.persistent) {
    // A store in memory does not outlive the process whose jobs are at stake.
    test("jobs of a process that was killed run again after a restart", async () => {
      await using open = await fixture.open();
      const id = await addJob(open.store);
      await open.store.workers.register("killed");
      await open.store.jobs.claim("mail", "killed", 1);
      await open.crash();
      const { store } = open;
      expect(await states(store, [id])).toEqual(["running"]);
      await store.workers.register("next");
      await open.advance(expiryMs + 1);
      await store.workers.heartbeat("next");
      await store.workers.recoverExpired(expiryMs);
      const [job] = await store.jobs.claim("mail", "next", 1);
      expect(job).toMatchObject({ id, attempt: 1 });
    });
  }
}
