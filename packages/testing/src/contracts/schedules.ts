import type { NewTick, ScheduleState, Store } from "apiforge/internal/store";
import { describe, expect, test } from "vitest";
import type { OpenStore, StoreFixture } from "./fixture.ts";
import { addNote, noteIds } from "./samples.ts";

const minuteMs = 60_000;

/** The state of schedule `report` with its next tick at `nextAt`, with the given differences. */
function sampleState(nextAt: number, differences: Partial<ScheduleState> = {}): ScheduleState {
  return {
    name: "report",
    cron: "* * * * *",
    timeZone: "UTC",
    nextAt,
    isPaused: false,
    ...differences,
  };
}

function fired(fireAt: number): NewTick {
  return { fireAt, outcome: "fired", jobId: `job_${fireAt}` };
}

function missed(fireAt: number): NewTick {
  return { fireAt, outcome: "missed", jobId: null };
}

/** Commits a state with its ticks, as a node does that has the schedule. */
async function save(
  store: Store,
  state: ScheduleState,
  ticks: readonly NewTick[] = [],
): Promise<void> {
  await store.transact("save", async (tx) => {
    await tx.lockSchedule(state.name);
    await tx.saveSchedule(state, ticks);
  });
}

async function withTicks(open: OpenStore, count: number): Promise<number> {
  const startAt = open.clock.now();
  const ticks = Array.from({ length: count }, (_, index) => fired(startAt + index * minuteMs));
  await save(open.store, sampleState(startAt + count * minuteMs), ticks);
  return startAt;
}

/** Schedules, and ticks that are dealt with once. */
export function schedulesContract(fixture: StoreFixture): void {
  describe("a schedule", () => {
    test("is unknown until it is saved", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const { value: tried } = await store.transact("try", (tx) => tx.tryLockSchedule("report"));
      expect(tried).toBeUndefined();
      const { value: locked } = await store.transact("lock", (tx) => tx.lockSchedule("report"));
      expect(locked).toEqual({ state: undefined, nowMs: open.clock.now(), recorded: [] });
      expect(await store.schedules.list()).toEqual([]);
    });

    test("is what was saved last, and tells how long its next tick is away", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const state = sampleState(open.clock.now() + minuteMs, { timeZone: "Europe/Berlin" });
      await save(store, state);
      await save(store, sampleState(open.clock.now(), { name: "audit", nextAt: null }));
      await open.advance(20_000);
      const { value: locked } = await store.transact("try", (tx) => tx.tryLockSchedule("report"));
      expect(locked).toEqual({ state, nowMs: open.clock.now(), recorded: [] });
      expect(await store.schedules.list()).toMatchObject([
        { name: "audit", nextAt: null, dueInMs: null },
        { ...state, dueInMs: 40_000 },
      ]);
      await open.advance(minuteMs);
      await save(store, { ...state, isPaused: true });
      const [, late] = await store.schedules.list();
      expect(late).toEqual({ ...state, isPaused: true, dueInMs: 0 });
    });

    test("belongs to one transaction at a time", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const nextAt = open.clock.now();
      await save(store, sampleState(nextAt));
      const begun = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      const holder = store.transact("holder", async (tx) => {
        await tx.lockSchedule("report");
        begun.resolve();
        await gate.promise;
        await tx.saveSchedule(sampleState(nextAt + minuteMs), [fired(nextAt)]);
      });
      await begun.promise;
      const tried = store.transact("try", (tx) => tx.tryLockSchedule("report"));
      const waiting = store.transact("wait", (tx) => tx.lockSchedule("report"));
      if (!store.capabilities.serialWrites) expect((await tried).value).toBeUndefined();
      gate.resolve();
      await holder;
      const { state } = (await waiting).value;
      expect(state?.nextAt).toBe(nextAt + minuteMs);
      await tried;
    });

    test("is added once by transactions that find none", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const nextAt = open.clock.now();
      const add = () =>
        store.transact("add", async (tx) => {
          const { state } = await tx.lockSchedule("report");
          if (state === undefined) await tx.saveSchedule(sampleState(nextAt), [fired(nextAt)]);
          return state === undefined;
        });
      const added = await Promise.all([add(), add(), add()]);
      expect(added.filter(({ value }) => value)).toHaveLength(1);
      expect(await store.schedules.ticks("report", 10)).toHaveLength(1);
    });
  });

  describe("a tick", () => {
    test("is recorded with its outcome, latest first", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const startAt = open.clock.now();
      const ticks = [missed(startAt), fired(startAt + 1_000), missed(startAt + 2_000)];
      await save(store, sampleState(startAt + 3_000), ticks);
      await save(store, sampleState(startAt, { name: "other" }), [fired(startAt)]);
      const recorded = ticks.map((tick) => ({ ...tick, recordedAt: startAt }));
      expect(await store.schedules.ticks("report", 10)).toEqual(recorded.toReversed());
      expect(await store.schedules.ticks("report", 1)).toEqual(recorded.slice(-1));
      expect(await store.schedules.ticks("nothing", 10)).toEqual([]);
    });

    test("cannot be recorded twice: the second commit leaves nothing", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const startAt = await withTicks(open, 2);
      const twice = store.transact("twice", async (tx) => {
        await tx.lockSchedule("report");
        await addNote(tx, "twice");
        await tx.saveSchedule(sampleState(startAt), [missed(startAt + minuteMs)]);
      });
      await expect(twice).rejects.toMatchObject({ code: "unique_violation" });
      expect(await noteIds(store)).toEqual([]);
      expect(await store.schedules.list()).toMatchObject([{ nextAt: startAt + 2 * minuteMs }]);
    });

    test("that is recorded at or after the next one is told of", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const startAt = await withTicks(open, 3);
      await save(store, sampleState(startAt + minuteMs));
      const { value } = await store.transact("try", (tx) => tx.tryLockSchedule("report"));
      expect(value?.recorded.toSorted()).toEqual([startAt + minuteMs, startAt + 2 * minuteMs]);
    });

    test("is recorded together with the effects of its commit, or not at all", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const nextAt = open.clock.now();
      await save(store, sampleState(nextAt));
      const undone = store.transact("undone", async (tx) => {
        await tx.tryLockSchedule("report");
        await tx.saveSchedule(sampleState(nextAt + minuteMs), [fired(nextAt)]);
        throw new Error("no");
      });
      await expect(undone).rejects.toThrow("no");
      expect(await store.schedules.ticks("report", 10)).toEqual([]);
      expect(await store.schedules.list()).toMatchObject([{ nextAt }]);
    });

    test("is swept after its retention, in batches", async () => {
      await using open = await fixture.open();
      const { schedules } = open.store;
      const startAt = await withTicks(open, 5);
      await open.advance(10_000);
      const nextAt = startAt + 6 * minuteMs;
      await save(open.store, sampleState(nextAt), [missed(startAt + 5 * minuteMs)]);
      await open.advance(5_000);
      expect(await schedules.sweepTicks(15_000, 10)).toBe(0);
      expect(await schedules.sweepTicks(14_999, 3)).toBe(3);
      expect(await schedules.sweepTicks(14_999, 3)).toBe(2);
      expect(await schedules.sweepTicks(14_999, 3)).toBe(0);
      expect(await schedules.ticks("report", 10)).toMatchObject([missed(startAt + 5 * minuteMs)]);
    });

    if (fixture.persistent) {
      // A store in memory has no later life.
      test("stays recorded after a crash, and the schedule where it stood", async () => {
        await using open = await fixture.open();
        const startAt = await withTicks(open, 2);
        await open.crash();
        expect(await open.store.schedules.ticks("report", 10)).toHaveLength(2);
        expect(await open.store.schedules.list()).toMatchObject([
          { nextAt: startAt + 2 * minuteMs },
        ]);
      });
    }
  });
}
