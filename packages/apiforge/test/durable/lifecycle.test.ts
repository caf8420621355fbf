import { recordingLog, turns } from "@apiforge/testing";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { createDurable, defineConsumer, defineJob } from "../../src/durable/index.ts";
import { SettlementBuffer, type JobEnd } from "../../src/durable/jobs/settlement-buffer.ts";
import { silentLog, systemClock } from "../../src/kernel/index.ts";
import { storeError, type ClaimedJob, type JobStore, type Store } from "../../src/store/index.ts";
import { sampleEvent } from "@apiforge/testing/contracts";
import { storeFixtures } from "../store/fixtures.ts";
import { sqliteMemory } from "../store/sqlite-fixture.ts";
import { actor, answer, Harness, write } from "./harness.ts";

const dayMs = 86_400_000;
const anything = z.object({});

describe.for(storeFixtures)("housekeeping on $name", (fixture) => {
  test("deletes answers and completed jobs after their retention, and nothing else", async () => {
    await using harness = await Harness.open(fixture);
    const done = defineJob("done", { input: anything, run: async () => {} });
    const dead = defineJob("dead", {
      input: anything,
      attempts: 1,
      run: async () => {
        throw new Error("no");
      },
    });
    const first = await harness.started({ jobs: [done, dead] });
    await first.durable.execute(
      write("old", async (tx) => {
        await tx.enqueue(done, {});
        await tx.enqueue(dead, {});
        return answer(202);
      }),
    );
    await harness.idle();
    await first.durable.stop(0);
    // The core starts one minute before the day is over; it sweeps once a minute.
    await harness.open.advance(dayMs - 60_000);
    const node = await harness.started({ jobs: [done, dead] });
    await node.durable.execute(
      write("young", async (tx) => {
        await tx.enqueue(done, {});
        return answer(202);
      }),
    );
    await harness.advance(60_000);
    expect(await harness.store.jobs.list({ limit: 10 })).toHaveLength(3);
    await harness.advance(60_000);
    const left = await harness.store.jobs.list({ limit: 10 });
    expect(left.map(({ type, state }) => [type, state])).toEqual([
      ["done", "completed"],
      ["dead", "dead"],
    ]);
    const outcome = (key: string) => node.durable.execute(write(key, async () => answer(200)));
    expect(await outcome("young")).toMatchObject({ outcome: "replayed", answer: { status: 202 } });
    expect(await outcome("old")).toMatchObject({ outcome: "fresh", answer: { status: 200 } });
  });

  test("deletes events when they are a week old, or what is said, and not the last", async () => {
    await using harness = await Harness.open(fixture);
    const emitAt = async (n: number): Promise<void> => {
      await harness.store.transact("emit", async (tx) =>
        tx.appendEvent(sampleEvent({ id: `${n}`, createdAt: harness.open.clock.now() })),
      );
    };
    const kept = async () =>
      (await harness.store.events.read(await harness.store.events.floor(), 10)).map(({ id }) => id);
    for (const n of [1, 2, 3]) await emitAt(n);
    await harness.open.advance(7 * dayMs - 60_000);
    await emitAt(4);
    const week = await harness.started({});
    await harness.advance(60_000);
    expect(await kept()).toEqual(["1", "2", "3", "4"]);
    await harness.advance(60_000);
    expect(await kept()).toEqual(["4"]);
    await emitAt(5);
    await week.durable.stop(0);
    await harness.started({ eventRetention: "30s" });
    await harness.advance(60_000);
    expect(await kept()).toEqual(["5"]);
  });

  test("keeps as long as it is told to", async () => {
    await using harness = await Harness.open(fixture);
    const done = defineJob("done", { input: anything, run: async () => {} });
    const node = await harness.started({
      jobs: [done],
      idempotencyRetention: "30s",
      completedJobRetention: "3m",
    });
    await node.durable.execute(
      write("k", async (tx) => {
        await tx.enqueue(done, {});
        return answer(202);
      }),
    );
    await harness.advance(60_000);
    const again = await node.durable.execute(write("k", async () => answer(200)));
    expect(again.outcome).toBe("fresh");
    expect((await harness.job()).state).toBe("completed");
    await harness.advance(180_000);
    expect(await harness.store.jobs.list({ limit: 10 })).toEqual([]);
  });
});

test("housekeeping that fails is said and tried again at the next visit", async () => {
  await using harness = await Harness.open(sqliteMemory);
  let broken = true;
  const store: Store = {
    ...pass(harness.store),
    idempotency: {
      find: (digest) => harness.store.idempotency.find(digest),
      sweep: async (olderThanMs, limit) => {
        if (broken) throw storeError("store_unavailable", "away");
        return harness.store.idempotency.sweep(olderThanMs, limit);
      },
    },
  };
  const node = await harness.started({ store, idempotencyRetention: "1s" });
  await node.durable.execute(write("k", async () => answer(200)));
  await harness.advance(60_000);
  expect(node.log.entries.map(({ level }) => level)).toEqual(["warn"]);
  broken = false;
  await harness.advance(60_000);
  const again = await node.durable.execute(write("k", async () => answer(200)));
  expect(again.outcome).toBe("fresh");
});

describe("a store that is away for a while", () => {
  test("costs a finished job nothing: its end is stored when the store is back", async () => {
    await using harness = await Harness.open(sqliteMemory);
    let failures = 3;
    const jobs: JobStore = {
      ...pass(harness.store.jobs),
      settle: async (settlements) => {
        failures -= 1;
        if (failures >= 0) throw storeError("store_unavailable", "away");
        return harness.store.jobs.settle(settlements);
      },
    };
    let runs = 0;
    const job = defineJob("job", { input: anything, run: async () => void (runs += 1) });
    const node = await harness.started({ store: { ...pass(harness.store), jobs }, jobs: [job] });
    await node.durable.transact("enqueue", actor, (tx) => tx.enqueue(job, {}));
    await harness.advance(500);
    await harness.advance(500);
    expect((await harness.job()).state).toBe("running");
    await harness.advance(500);
    expect(await harness.job()).toMatchObject({ state: "completed", attempt: 1 });
    expect(runs).toBe(1);
  });

  test("delays claims and consumers, and loses none", async () => {
    await using harness = await Harness.open(sqliteMemory);
    let away = true;
    const jobs: JobStore = {
      ...pass(harness.store.jobs),
      claim: async (queue, owner, limit) => {
        if (away) throw storeError("store_unavailable", "away");
        return harness.store.jobs.claim(queue, owner, limit);
      },
    };
    let runs = 0;
    const job = defineJob("job", { input: anything, run: async () => void (runs += 1) });
    const node = await harness.started({ store: { ...pass(harness.store), jobs }, jobs: [job] });
    await node.durable.transact("enqueue", actor, (tx) => tx.enqueue(job, {}));
    await harness.advance(3_000);
    expect(runs).toBe(0);
    expect(node.log.entries.length).toBeLessThan(10);
    away = false;
    await harness.advance(1_000);
    expect(runs).toBe(1);
  });

  test("does not keep a stop waiting for the end of a job that cannot be stored", async () => {
    await using harness = await Harness.open(sqliteMemory);
    const jobs: JobStore = {
      ...pass(harness.store.jobs),
      settle: async () => {
        throw storeError("store_unavailable", "away");
      },
    };
    const job = defineJob("job", { input: anything, run: async () => {} });
    const node = await harness.started({ store: { ...pass(harness.store), jobs }, jobs: [job] });
    await node.durable.transact("enqueue", actor, (tx) => tx.enqueue(job, {}));
    await harness.idle();
    const stopped = node.durable.stop(1_000);
    await turns(10);
    await harness.open.advance(500);
    await turns(10);
    await harness.open.advance(500);
    await stopped;
    // Another process, or the next one, runs it again.
    expect(await harness.job()).toMatchObject({ state: "ready", attempt: 0 });
  });
});

describe("the ends of attempts", () => {
  const endOf = (n: number): JobEnd => {
    return { job: claimedJob(n), settlement: { outcome: "completed", n, fence: 1 } };
  };

  test("are stored in batches: what ends during one is the next", async () => {
    const batches: number[] = [];
    const gates: (() => void)[] = [];
    const settle: JobStore["settle"] = (settlements) => {
      batches.push(settlements.length);
      return new Promise((resolve) => {
        gates.push(() => resolve(settlements.map(({ n }) => n !== 13)));
      });
    };
    const stored: (readonly [n: number, isHeld: boolean])[] = [];
    const store = jobStoreWith(settle);
    const buffer = new SettlementBuffer(store, systemClock, silentLog, ({ job }, isHeld) =>
      stored.push([job.n, isHeld]),
    );
    for (const n of [1, 13]) buffer.add(endOf(n));
    await turns(1);
    for (const n of [2, 3, 4]) buffer.add(endOf(n));
    await turns(1);
    expect(stored).toEqual([]);
    gates[0]?.();
    await turns(1);
    expect(stored.splice(0)).toEqual([
      [1, true],
      [13, false],
    ]);
    gates[1]?.();
    await turns(1);
    expect(stored).toEqual([
      [2, true],
      [3, true],
      [4, true],
    ]);
    expect(batches).toEqual([2, 3]);
  });

  test("are stored whatever the moment at which they come", async () => {
    // An end that came in the few microtasks between the last look at the list and the flush's own
    // end once stayed in the list until another came.
    for (let delay = 0; delay < 20; delay += 1) {
      const answered = Promise.withResolvers<void>();
      const settle: JobStore["settle"] = async (settlements) => {
        await answered.promise;
        return settlements.map(() => true);
      };
      const stored: number[] = [];
      const store = jobStoreWith(settle);
      const buffer = new SettlementBuffer(store, systemClock, silentLog, ({ job }) =>
        stored.push(job.n),
      );
      buffer.add(endOf(1));
      await turns(1);
      answered.resolve();
      for (let tick = 0; tick < delay; tick += 1) await Promise.resolve();
      buffer.add(endOf(2));
      await turns(2);
      expect(stored, `after ${delay} microtasks`).toEqual([1, 2]);
    }
  });
});

describe("createDurable", () => {
  const job = defineJob("twice", { input: anything, run: async () => {} });
  const consumer = defineConsumer("twice", { events: [], handle: async () => {} });

  test.for([
    ["job", { jobs: [job, job], consumers: [] }],
    ["consumer", { jobs: [], consumers: [consumer, consumer] }],
  ] as const)("refuses two of the same name: %s", async ([kind, definitions]) => {
    await using open = await sqliteMemory.open();
    const make = () => createDurable({ store: open.store, log: recordingLog(), ...definitions });
    expect(make).toThrow(TypeError);
    expect(make).toThrow(new RegExp(`${kind}.*twice`));
  });

  test.for([0, -1, 1.5, Number.NaN])("a job type of %d attempts is refused", (attempts) => {
    expect(() => defineJob("x", { input: anything, run: async () => {}, attempts })).toThrow(
      RangeError,
    );
  });
});

/** The methods of `target` as properties, so that some can be replaced. */
function pass<T extends object>(target: T): T {
  return new Proxy({} as T, {
    ownKeys: () => keysOf(target),
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    get: (_, name) => {
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function keysOf(target: object): string[] {
  const names = new Set(Object.keys(target));
  for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(target))) names.add(name);
  names.delete("constructor");
  return [...names];
}

function jobStoreWith(settle: JobStore["settle"]): JobStore {
  function unused(): never {
    throw new Error("Nothing but settle() is needed");
  }
  return {
    settle,
    claim: unused,
    nextDueInMs: unused,
    find: unused,
    list: unused,
    retryDead: unused,
    cancel: unused,
    cancelRequests: unused,
    sweepEnded: unused,
  };
}

function claimedJob(n: number): ClaimedJob {
  const kind = { queue: "default", type: "done", tenant: "ten_1", payload: "{}", requestId: "r" };
  const lease = { n, fence: 1, attempt: 1, maxAttempts: 1, deaths: 0, traceparent: null };
  return { id: `job_${n}`, ...kind, ...lease, key: null, startInMs: null, deadlineInMs: null };
}
