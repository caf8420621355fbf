import { describe, expect, test } from "vitest";
import type { ClaimedJob, JobLease, JobSettlement, NewJob, Store } from "apiforge/internal/store";
import type { StoreFixture } from "./fixture.ts";
import { addJob, sampleJob } from "./samples.ts";

const hourMs = 3_600_000;
const expiryMs = 10_000;
const jobs = 20;

/** Commits jobs of one kind together; their ids are `prefix` with 00, 01 and so on. */
async function addKind(
  store: Store,
  prefix: string,
  differences: Partial<NewJob> = {},
  count = jobs,
): Promise<readonly string[]> {
  const ids = Array.from({ length: count }, (_, index) => prefix + String(index).padStart(2, "0"));
  await store.transact("add a kind", async (tx) => {
    for (const id of ids) tx.insertJob(sampleJob({ id, ...differences }));
  });
  return ids;
}

async function claimed(store: Store, limit: number, owner = "w1"): Promise<readonly ClaimedJob[]> {
  return store.jobs.claim("mail", owner, limit);
}

function idsOf(found: readonly { readonly id: string }[]): string[] {
  return found.map(({ id }) => id);
}

function leaseOf({ n, fence }: JobLease): JobLease {
  return { n, fence };
}

function completed(job: JobLease): JobSettlement {
  return { outcome: "completed", ...leaseOf(job) };
}

async function statesOf(store: Store, ids: readonly string[]): Promise<(string | undefined)[]> {
  return Promise.all(ids.map(async (id) => (await store.jobs.find(id))?.state));
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("It is not there");
  return value;
}

/** Many jobs of one kind in one commit, which a store may keep together: nobody can tell. */
export function kindsContract(fixture: StoreFixture): void {
  describe("jobs of one kind that one commit enqueued", () => {
    test("are found and listed one by one", async () => {
      await using open = await fixture.open();
      const { store, clock } = open;
      const ids = await addKind(store, "k", { payload: '{"a":"\\u0000\u{1f600}"}', priority: 7 });
      const at = clock.now();
      expect(await store.jobs.find("k03")).toEqual({
        ...{ id: "k03", queue: "mail", type: "send", tenant: "ten_1", requestId: "req_1" },
        ...{ state: "ready", payload: '{"a":"\\u0000\u{1f600}"}', priority: 7, attempt: 0 },
        ...{ maxAttempts: 3, runAt: at, createdAt: at, finishedAt: null, lastError: null },
        ...{ dedupeKey: null, key: null, deadlineAt: null },
      });
      expect(await store.jobs.find("k99")).toBeUndefined();
      await addJob(store, { id: "single", type: "other" });
      const newest = ids.toReversed();
      expect(idsOf(await store.jobs.list({ limit: 4 }))).toEqual(["single", ...newest.slice(0, 3)]);
      expect(idsOf(await store.jobs.list({ type: "send", limit: 100 }))).toEqual(newest);
      expect(await store.jobs.list({ type: "send", state: "dead", limit: 100 })).toEqual([]);
    });

    test("exist exactly when their commit does", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const undone = store.transact("undone", async (tx) => {
        for (let index = 0; index < jobs; index += 1) tx.insertJob(sampleJob());
        throw new Error("no");
      });
      await expect(undone).rejects.toThrow("no");
      expect(await claimed(store, 10)).toEqual([]);
      expect(await store.jobs.list({ limit: 10 })).toEqual([]);
    });

    test("are handed out in parts, by priority and insertion among all others", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addJob(store, { id: "before" });
      const ids = await addKind(store, "k");
      await addJob(store, { id: "after" });
      await addJob(store, { id: "urgent", priority: -1 });
      const late = await addKind(store, "late", { priority: 1 });
      expect(idsOf(await claimed(store, 5))).toEqual(["urgent", "before", ...ids.slice(0, 3)]);
      expect(idsOf(await claimed(store, 2))).toEqual(ids.slice(3, 5));
      const rest = [...ids.slice(5), "after", ...late];
      expect(idsOf(await claimed(store, 100))).toEqual(rest);
      expect(await claimed(store, 100)).toEqual([]);
    });

    test("carry the span that each was enqueued in, packed, unpacked and in a row", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const spans = ["a", "b"].map((digit) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`);
      const [one = "", other = ""] = spans;
      await addKind(store, "k", { traceparent: one });
      await addKind(store, "l", { traceparent: other });
      await addKind(store, "m");
      const of = (all: readonly ClaimedJob[]) =>
        all.map(({ id, traceparent }) => `${id.slice(0, 1)} ${traceparent}`);
      const first = await claimed(store, 3 * jobs);
      const wanted = [`k ${one}`, `l ${other}`, "m null"];
      expect([...new Set(of(first))]).toEqual(wanted);
      await store.jobs.settle(first.map((job) => ({ outcome: "released", ...leaseOf(job) })));
      const again = await claimed(store, 3 * jobs);
      expect(again).toHaveLength(3 * jobs);
      expect([...new Set(of(again))]).toEqual(wanted);
    });

    test("that are given back keep their place", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const ids = await addKind(store, "k");
      const first = await claimed(store, 6);
      const given = [must(first[1]), must(first[4])].map(leaseOf);
      await store.jobs.settle(given.map((lease) => ({ outcome: "released", ...lease })));
      expect(idsOf(await claimed(store, 4))).toEqual(["k01", "k04", ...ids.slice(6, 8)]);
    });

    test("end one by one, each as it did", async () => {
      await using open = await fixture.open();
      const { store, clock } = open;
      await addKind(store, "k");
      const [a, b, c, d, e, f, g] = (await claimed(store, 7)).map(leaseOf);
      const settled = await store.jobs.settle([
        completed(must(b)),
        completed(must(a)),
        { outcome: "retry", delayMs: 1_000, error: "again", ...must(c) },
        completed(must(c)),
        completed(must(a)),
        { outcome: "dead", error: "no", ...must(d) },
        { outcome: "snoozed", delayMs: 500, ...must(e) },
        { outcome: "cancelled", ...must(f) },
        completed(must(g)),
        completed({ ...must(g), n: must(g).n + 1 }),
      ]);
      const [yes, no] = [true, false];
      expect(settled).toEqual([yes, yes, yes, no, no, yes, yes, yes, yes, no]);
      const ids = ["k00", "k01", "k02", "k03", "k04", "k05", "k06", "k07"];
      expect(await statesOf(store, ids)).toEqual([
        ...["completed", "completed", "scheduled", "dead"],
        ...["scheduled", "cancelled", "completed", "ready"],
      ]);
      const attempts = await Promise.all(
        ids.map(async (id) => (await store.jobs.find(id))?.attempt),
      );
      expect(attempts).toEqual([1, 1, 1, 1, 0, 1, 1, 0]);
      expect(await store.jobs.find("k00")).toMatchObject({ finishedAt: clock.now() });
      expect(await store.jobs.find("k02")).toMatchObject({ lastError: "again" });
      await open.advance(1_000);
      const again = await claimed(store, 2);
      expect(again.map(({ id, attempt }) => [id, attempt])).toEqual([
        ["k02", 2],
        ["k04", 1],
      ]);
      expect(again[0]?.fence).not.toBe(c?.fence);
      expect(await store.jobs.settle([completed(must(c))])).toEqual([false]);
    });

    test("end as the first says of two settlements of one lease in one call", async () => {
      await using open = await fixture.open();
      const { store, clock } = open;
      await addKind(store, "k");
      const at = clock.now();
      const [soon, late] = [1_000, 9_000].map(
        (delayMs) => ({ outcome: "snoozed", delayMs }) as const,
      );
      const pairs = [
        [must(soon), must(late)],
        [must(late), must(soon)],
        [must(soon), { outcome: "completed" }],
      ] as const;
      for (const [first, second] of pairs) {
        const job = must((await claimed(store, 1))[0]);
        const both = [first, second].map((end) => ({ ...end, ...leaseOf(job) }));
        expect(await store.jobs.settle(both)).toEqual([true, false]);
        const runAt = at + first.delayMs;
        expect(await store.jobs.find(job.id)).toMatchObject({ state: "scheduled", runAt });
      }
    });

    test("end together though several commits enqueued them", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const ids = [...(await addKind(store, "a")), ...(await addKind(store, "b"))];
      const all = await claimed(store, 100);
      expect(await store.jobs.settle(all.map(completed))).toEqual(ids.map(() => true));
      expect(await statesOf(store, ids)).toEqual(ids.map(() => "completed"));
    });

    test("are completed by a transaction, or not when it fails", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addKind(store, "k");
      const lease = leaseOf(must((await claimed(store, 1))[0]));
      const undone = store.transact("undone", async (tx) => {
        expect(await tx.holdJob(lease)).toBe(true);
        expect(await tx.completeJob(lease)).toBe(true);
        expect(await tx.completeJob(lease)).toBe(false);
        throw new Error("no");
      });
      await expect(undone).rejects.toThrow("no");
      expect(await statesOf(store, ["k00"])).toEqual(["running"]);
      await store.transact("complete", async (tx) => {
        expect(await tx.completeJob(lease)).toBe(true);
      });
      await store.transact("late", async (tx) => {
        expect(await tx.holdJob(lease)).toBe(false);
        expect(await tx.completeJob(lease)).toBe(false);
      });
      expect(await statesOf(store, ["k00", "k01"])).toEqual(["completed", "ready"]);
    });

    test("are cancelled one by one, before their turn and after", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addKind(store, "k");
      await store.workers.register("w1");
      const [first, second] = await claimed(store, 2);
      expect(await store.jobs.cancel("k03")).toBe("cancelled");
      expect(await store.jobs.cancel("k01")).toBe("running");
      expect(await store.jobs.cancelRequests("w1")).toEqual(["k01"]);
      expect(idsOf(await claimed(store, 2))).toEqual(["k02", "k04"]);
      const ends: readonly JobSettlement[] = [
        completed(must(first)),
        { outcome: "retry", delayMs: 0, error: "x", ...leaseOf(must(second)) },
      ];
      expect(await store.jobs.settle(ends)).toEqual([true, true]);
      expect(await store.jobs.cancel("k00")).toBe("completed");
      expect(await statesOf(store, ["k00", "k01", "k03"])).toEqual([
        ...["completed", "cancelled", "cancelled"],
      ]);
    });

    test("of a paused queue wait", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addKind(store, "k");
      await store.queues.pause("mail", null);
      expect(await claimed(store, 5)).toEqual([]);
      await store.queues.resume("mail", null);
      expect(await claimed(store, 5)).toHaveLength(5);
    });

    test("are swept one by one after their retention", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const ids = await addKind(store, "k");
      const all = await claimed(store, jobs);
      await store.jobs.settle(all.slice(0, 5).map(completed));
      await open.advance(hourMs + 1);
      await store.jobs.settle(all.slice(5, 19).map(completed));
      expect(await store.jobs.sweepEnded(hourMs, 3)).toBe(3);
      expect(await store.jobs.sweepEnded(hourMs, 10)).toBe(2);
      expect(await store.jobs.sweepEnded(hourMs, 10)).toBe(0);
      expect(idsOf(await store.jobs.list({ limit: 100 }))).toEqual(ids.slice(5).toReversed());
      expect(await store.jobs.find("k02")).toBeUndefined();
      const running = await store.jobs.list({ state: "running", limit: 100 });
      expect(idsOf(running)).toEqual(["k19"]);
      await store.jobs.settle([completed(must(all[19]))]);
      await open.advance(hourMs + 1);
      expect(await store.jobs.sweepEnded(hourMs, 100)).toBe(15);
      expect(await store.jobs.list({ limit: 100 })).toEqual([]);
    });

    test("are given back by an owner that leaves, and counted by one that dies", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addKind(store, "k");
      await store.workers.register("w1");
      const all = await claimed(store, 4);
      await store.jobs.settle([completed(must(all[1]))]);
      await open.advance(expiryMs + 1);
      expect(await store.workers.recoverExpired(expiryMs)).toBe(3);
      expect(await statesOf(store, ["k00", "k01", "k02", "k03"])).toEqual([
        ...["ready", "completed", "ready", "ready"],
      ]);
      expect(await store.jobs.find("k02")).toMatchObject({ attempt: 0 });
      expect((await store.jobs.find("k02"))?.lastError).toMatch(/process died/);
      const stale = all.map(completed);
      expect(await store.jobs.settle(stale)).toEqual([false, false, false, false]);
      await store.workers.register("w2");
      // One that a process died with at a time.
      const next = await claimed(store, 18, "w2");
      expect(next.filter(({ deaths }) => deaths > 0)).toHaveLength(1);
      expect(next).toHaveLength(17);
    });

    test("do not die with the one that kills every process", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const ids = await addKind(store, "k");
      let life = 0;
      for (let left = 1; left > 0; left = await unended(store)) {
        life += 1;
        if (life > 60) throw new Error("The jobs come to no end");
        await store.workers.register(`w${life}`);
        const held = await claimed(store, 6, `w${life}`);
        const fatal = held.findIndex(({ id }) => id === "k07");
        // Jobs begin in the order in which they were handed out.
        await store.jobs.settle(held.slice(0, fatal === -1 ? held.length : fatal).map(completed));
        if (fatal === -1) continue;
        await open.advance(expiryMs + 1);
        await store.workers.recoverExpired(expiryMs);
      }
      expect(await statesOf(store, ids)).toEqual(
        ids.map((id) => (id === "k07" ? "dead" : "completed")),
      );
    });

    test("are no more than their limits: each payload is what it was", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const payloads = Array.from({ length: 1_200 }, (_, index) => {
        return JSON.stringify({ index, text: "x".repeat(index % 100 === 0 ? 100_000 : 10) });
      });
      await store.transact("add", async (tx) => {
        for (const payload of payloads) tx.insertJob(sampleJob({ payload }));
      });
      const all = await claimed(store, 2_000);
      expect(all.map(({ payload }) => payload)).toEqual(payloads);
      expect(await store.jobs.settle(all.map(completed))).toEqual(all.map(() => true));
    });

    if (!fixture.persistent) return;
    test("outlive a kill: what had ended stays ended, the rest runs again", async () => {
      await using open = await fixture.open();
      const ids = await addKind(open.store, "k");
      await open.store.workers.register("killed");
      const all = await claimed(open.store, 10, "killed");
      await open.store.jobs.settle(all.slice(2, 5).map(completed));
      await open.crash();
      const { store } = open;
      const running = ids.slice(0, 10).map((_, index) => {
        return index >= 2 && index < 5 ? "completed" : "running";
      });
      expect(await statesOf(store, ids.slice(0, 10))).toEqual(running);
      await store.workers.register("next");
      await open.advance(expiryMs + 1);
      await store.workers.heartbeat("next");
      await store.workers.recoverExpired(expiryMs);
      expect(await statesOf(store, ids)).toEqual(
        ids.map((_, index) => (index >= 2 && index < 5 ? "completed" : "ready")),
      );
      const later = await addJob(store, { id: "later" });
      const [newest] = await store.jobs.list({ limit: 1 });
      expect(newest?.id).toBe(later);
    });
  });
}

async function unended(store: Store): Promise<number> {
  const states = ["ready", "running"] as const;
  const lists = await Promise.all(states.map((state) => store.jobs.list({ state, limit: 1 })));
  return lists.flat().length;
}
