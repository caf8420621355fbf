import { ManualClock } from "@apiforge/testing";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { defineJob, type EnqueueOptions, type JobContext } from "../../src/durable/index.ts";
import { fixedDelays, snooze } from "../../src/resilience/index.ts";
import { storeFixtures } from "../store/fixtures.ts";
import { sqliteMemory } from "../store/sqlite-fixture.ts";
import { actor, Harness, type Node } from "./harness.ts";

const input = z.object({ key: z.string().optional(), n: z.number().default(0) });
type Input = z.infer<typeof input>;
type Run = (context: JobContext<Input>) => Promise<void>;
type Options = Partial<Omit<Parameters<typeof defineJob<typeof input>>[1], "input" | "run">>;

/** A job type whose key is in its input, tried again after 1 s. */
function keyed(run: Run, options: Options = {}) {
  return defineJob("work", {
    input,
    run,
    key: (value) => value.key ?? "k",
    backoff: fixedDelays(["1s"]),
    ...options,
  });
}

function plain(run: Run, options: Options = {}) {
  return defineJob("work", { input, run, backoff: fixedDelays(["1s"]), ...options });
}

async function enqueue(
  harness: Harness,
  { durable }: Node,
  type: ReturnType<typeof keyed>,
  value: Partial<Input> = {},
  options: EnqueueOptions = {},
): Promise<string> {
  const { id } = await durable.transact("enqueue", actor, (tx) => tx.enqueue(type, value, options));
  await harness.idle();
  return id;
}

/** A handler that waits until the test lets it go, or its attempt is aborted. */
function gated() {
  const waiting: { context: JobContext<Input>; go: () => void }[] = [];
  const run: Run = (context) =>
    new Promise((resolve) => void waiting.push({ context, go: resolve }));
  return { waiting, run };
}

describe.for(storeFixtures)("a lane on $name", (fixture) => {
  test("keeps its concurrency, and begins the next job at once", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = keyed(run, { lane: { concurrency: 2 } });
    const node = await harness.started({ jobs: [type], poll: "1h" });
    for (let n = 0; n < 4; n += 1) await enqueue(harness, node, type, { n });
    await enqueue(harness, node, type, { key: "other", n: 9 });
    expect(waiting.map(({ context }) => context.input.n)).toEqual([0, 1, 9]);
    waiting[1]?.go();
    await harness.idle();
    expect(waiting.map(({ context }) => context.input.n)).toEqual([0, 1, 9, 2]);
    await waiting[0]?.context.complete(async () => {});
    waiting[0]?.go();
    await harness.idle();
    expect(waiting.at(-1)?.context.input.n).toBe(3);
  });

  test("in order waits for a job that is tried again, and no other key does", async () => {
    await using harness = await Harness.open(fixture);
    const order: string[] = [];
    const type = keyed(
      async ({ input: { key, n }, attempt }) => {
        order.push(`${key}${n}`);
        if (n === 0 && key === "a" && attempt === 1) throw new Error("no");
      },
      { lane: { ordered: true } },
    );
    const node = await harness.started({ jobs: [type], poll: "1h" });
    for (const key of ["a", "b"]) {
      for (let n = 0; n < 3; n += 1) await enqueue(harness, node, type, { key, n });
    }
    expect(order).toEqual(["a0", "b0", "b1", "b2"]);
    await harness.advance(1_000);
    expect(order.slice(4)).toEqual(["a0", "a1", "a2"]);
  });

  test("with a rate begins its jobs at its starts, to the millisecond", async () => {
    await using harness = await Harness.open(fixture);
    const begunAt: number[] = [];
    const { clock } = harness.open;
    const zero = clock.now();
    const run: Run = async () => void begunAt.push(clock.now() - zero);
    const type = keyed(run, { lane: { rate: { limit: 4, per: "160ms" } } });
    const node = harness.node({ jobs: [type], poll: "1h" });
    for (let n = 0; n < 6; n += 1) await enqueue(harness, node, type, { n });
    await node.durable.start();
    await harness.idle();
    for (let ms = 0; ms < 400; ms += 1) {
      await harness.open.advance(1);
      if (ms % 20 === 19) await harness.idle();
    }
    expect(begunAt).toHaveLength(6);
    for (const [index, at] of begunAt.entries()) {
      expect(at - (begunAt[index - 1] ?? -40)).toBeGreaterThanOrEqual(40);
    }
    expect(begunAt.slice(0, 3)).toEqual([0, 40, 80]);
  });

  test("with a rate takes back a start that was missed", async () => {
    await using harness = await Harness.open(fixture);
    const slow = gated();
    const begun: number[] = [];
    const type = keyed(async ({ input: { n } }) => void begun.push(n), {
      lane: { rate: { limit: 1, per: "40ms" } },
    });
    const other = defineJob("other", { input, run: slow.run });
    const node = await harness.started({ jobs: [type, other], concurrency: 1, poll: "1h" });
    await enqueue(harness, node, other);
    for (let n = 0; n < 3; n += 1) await enqueue(harness, node, type, { n });
    await harness.advance(1_000);
    expect(begun).toEqual([]);
    slow.waiting[0]?.go();
    await harness.idle();
    // The one that was leased for a start long ago goes back, and gets a new one.
    expect(begun).toHaveLength(1);
    await harness.advance(40);
    await harness.advance(40);
    expect(begun.toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
    expect((await harness.job()).attempt).toBe(1);
  });

  test("may be named when the job is enqueued", async () => {
    await using harness = await Harness.open(fixture);
    const type = plain(async () => {}, { lane: { concurrency: 1 } });
    const node = harness.node({ jobs: [type] });
    await enqueue(harness, node, type, {}, { key: "named" });
    expect(await harness.job()).toMatchObject({ state: "waiting", key: "named" });
    await enqueue(harness, node, type);
    expect(await harness.job()).toMatchObject({ state: "ready", key: null });
  });

  test.for([
    ["an empty key", { key: "" }],
    ["a key that is too long", { key: "x".repeat(256) }],
    ["a priority in an ordered lane", { key: "k", priority: 1 }],
    ["a delay in an ordered lane", { key: "k", delay: "1s" }],
    ["a negative deadline", { deadline: -1 }],
  ] as const)("refuses %s, and stores nothing", async ([, options]) => {
    await using harness = await Harness.open(fixture);
    const type = plain(async () => {}, { lane: { ordered: true } });
    const node = harness.node({ jobs: [type] });
    await expect(enqueue(harness, node, type, {}, options)).rejects.toThrow(RangeError);
    expect(await harness.store.jobs.list({ limit: 1 })).toEqual([]);
  });
});

describe("a lane is refused", () => {
  test.for([
    ["a concurrency of 0", { concurrency: 0 }],
    ["a fraction of a job", { concurrency: 1.5 }],
    ["a rate of nothing", { rate: { limit: 0, per: "1s" } }],
    ["a rate in no time", { rate: { limit: 1, per: 0 } }],
    ["order with concurrency", { ordered: true, concurrency: 2 }],
  ] as const)("with %s", ([, lane]) => {
    expect(() => plain(async () => {}, { lane })).toThrow(RangeError);
  });

  test("with order and a priority", () => {
    expect(() => plain(async () => {}, { lane: { ordered: true }, priority: 1 })).toThrow(
      RangeError,
    );
  });
});

describe.for(storeFixtures)("a job on $name", (fixture) => {
  test("that snoozes runs again later, and its attempt does not count", async () => {
    await using harness = await Harness.open(fixture);
    const attempts: number[] = [];
    const type = plain(
      async ({ attempt }) => {
        attempts.push(attempt);
        if (attempts.length < 3) throw snooze("1500ms");
      },
      { attempts: 1 },
    );
    const node = await harness.started({ jobs: [type], poll: "1h" });
    await enqueue(harness, node, type);
    expect(await harness.job()).toMatchObject({ state: "scheduled", attempt: 0, lastError: null });
    await harness.advance(1_499);
    expect(attempts).toHaveLength(1);
    await harness.advance(1);
    await harness.advance(1_500);
    expect(attempts).toEqual([1, 1, 1]);
    expect((await harness.job()).state).toBe("completed");
  });

  test("that waits is cancelled at once", async () => {
    await using harness = await Harness.open(fixture);
    let runs = 0;
    const type = plain(async () => void (runs += 1));
    const node = await harness.started({ jobs: [type] });
    const id = await enqueue(harness, node, type, {}, { delay: "5s" });
    expect(await node.durable.jobs.cancel(id)).toBe("cancelled");
    await harness.advance(6_000);
    expect(runs).toBe(0);
    expect(await node.durable.jobs.cancel(id)).toBe("cancelled");
    expect(await node.durable.jobs.cancel("job_unknown")).toBeUndefined();
  });

  test("that runs here is aborted at once and settled as cancelled", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = keyed(run, { lane: { concurrency: 1 } });
    const node = await harness.started({ jobs: [type], poll: "1h" });
    const id = await enqueue(harness, node, type);
    const next = await enqueue(harness, node, type);
    expect(await node.durable.jobs.cancel(id)).toBe("running");
    await harness.idle();
    expect(waiting[0]?.context.signal.reason).toMatchObject({ code: "job_cancelled" });
    expect((await node.durable.jobs.find(id))?.state).toBe("cancelled");
    expect(waiting[1]?.context.id).toBe(next);
    const late = waiting[0]?.context.complete(async () => {});
    await expect(late).rejects.toMatchObject({ code: "job_lease_lost" });
  });

  test("that runs in another process is aborted with its next heartbeat", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = plain(run);
    const node = await harness.started({ jobs: [type] });
    const id = await enqueue(harness, node, type);
    expect(await harness.node({ jobs: [type] }).durable.jobs.cancel(id)).toBe("running");
    expect(waiting[0]?.context.signal.aborted).toBe(false);
    await harness.advance(3_000);
    expect(waiting[0]?.context.signal.aborted).toBe(true);
    expect((await node.durable.jobs.find(id))?.state).toBe("cancelled");
  });

  test("that has completed itself before it is cancelled stays completed", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = plain(run);
    const node = await harness.started({ jobs: [type] });
    const id = await enqueue(harness, node, type);
    await waiting[0]?.context.complete(async () => {});
    expect(await node.durable.jobs.cancel(id)).toBe("completed");
    waiting[0]?.go();
    await harness.idle();
    expect((await node.durable.jobs.find(id))?.state).toBe("completed");
  });

  test("that was claimed and has not begun is cancelled without running", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = plain(run);
    const node = harness.node({ jobs: [type], concurrency: 1 });
    const all: string[] = [];
    for (let n = 0; n < 4; n += 1) all.push(await enqueue(harness, node, type));
    await node.durable.start();
    await harness.idle();
    const held = await node.durable.jobs.list({ state: "running", limit: 10 });
    const [unbegun] = held.filter(({ id }) => id !== waiting[0]?.context.id);
    expect(unbegun).toBeDefined();
    await node.durable.jobs.cancel(unbegun?.id ?? "");
    await harness.idle();
    expect((await node.durable.jobs.find(unbegun?.id ?? ""))?.state).toBe("cancelled");
    for (let n = 0; n < 3; n += 1) {
      waiting[n]?.go();
      await harness.idle();
    }
    expect(waiting.map(({ context }) => context.id)).toEqual(
      all.filter((id) => id !== unbegun?.id),
    );
  });

  test("is aborted at its deadline, and dead", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = plain(run, { timeout: "30s" });
    const node = await harness.started({ jobs: [type] });
    await enqueue(harness, node, type, {}, { deadline: "5s" });
    await harness.advance(4_999);
    expect(waiting[0]?.context.signal.aborted).toBe(false);
    await harness.advance(1);
    expect(waiting[0]?.context.signal.reason).toMatchObject({ code: "deadline_exceeded" });
    expect((await harness.job()).state).toBe("dead");
  });

  test("that waited for a slot past its deadline is dead, and never begun", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = plain(run);
    const node = harness.node({ jobs: [type], concurrency: 1 });
    await enqueue(harness, node, type);
    await enqueue(harness, node, type, {}, { deadline: "5s" });
    await node.durable.start();
    await harness.advance(6_000);
    waiting[0]?.go();
    await harness.idle();
    expect(waiting).toHaveLength(1);
    expect(await harness.job()).toMatchObject({ state: "dead" });
    expect((await harness.job()).lastError).toContain("deadline");
  });
});

describe.for(storeFixtures)("a paused queue on $name", (fixture) => {
  test("begins nothing until it is resumed, after a restart too", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = plain(run);
    const node = await harness.started({ jobs: [type], concurrency: 1 });
    for (let n = 0; n < 3; n += 1) await enqueue(harness, node, type, { n });
    await node.durable.queues.pause("default");
    expect(await node.durable.queues.paused()).toMatchObject([{ queue: "default", key: null }]);
    waiting[0]?.go();
    await harness.advance(2_000);
    expect(waiting).toHaveLength(1);
    await node.durable.stop(0);
    const again = await harness.started({ jobs: [type], concurrency: 3 });
    await harness.advance(2_000);
    expect(waiting).toHaveLength(1);
    expect(await again.durable.queues.resume("default")).toBe(true);
    await harness.idle();
    expect(waiting).toHaveLength(3);
  });

  test("may be one key of it", async () => {
    await using harness = await Harness.open(fixture);
    const begun: (string | undefined)[] = [];
    const type = keyed(async ({ input: { key } }) => void begun.push(key));
    const node = await harness.started({ jobs: [type] });
    await node.durable.queues.pause("default", "a");
    for (const key of ["a", "b", "a"]) await enqueue(harness, node, type, { key });
    expect(begun).toEqual(["b"]);
    expect(await node.durable.queues.resume("default", "a")).toBe(true);
    await harness.idle();
    expect(begun).toEqual(["b", "a", "a"]);
  });
});

describe("slots of a process", () => {
  function system() {
    const bulk = gated();
    const critical = gated();
    return {
      bulk,
      critical,
      bulkJob: defineJob("bulk", { input, run: bulk.run, queue: "bulk" }),
      criticalJob: defineJob("critical", { input, run: critical.run, queue: "critical" }),
    };
  }

  test("that a queue has reserved are its own, whatever the others have to do", async () => {
    await using harness = await Harness.open(sqliteMemory);
    const { bulk, critical, bulkJob, criticalJob } = system();
    const node = await harness.started({
      jobs: [bulkJob, criticalJob],
      totalConcurrency: 5,
      queues: { critical: { reserved: 2 } },
    });
    for (let n = 0; n < 10; n += 1) await enqueue(harness, node, bulkJob);
    expect(bulk.waiting).toHaveLength(3);
    for (let n = 0; n < 4; n += 1) await enqueue(harness, node, criticalJob);
    expect(critical.waiting).toHaveLength(2);
    // A shared slot goes to whoever waits for it.
    bulk.waiting[0]?.go();
    await harness.idle();
    expect(bulk.waiting.length + critical.waiting.length).toBe(6);
    for (let round = 0; round < 14; round += 1) {
      for (const { go } of [...bulk.waiting, ...critical.waiting]) go();
      await harness.idle();
    }
    expect([bulk.waiting.length, critical.waiting.length]).toEqual([10, 4]);
  });

  test("are as many as a queue's own limit allows", async () => {
    await using harness = await Harness.open(sqliteMemory);
    const { bulk, bulkJob, criticalJob } = system();
    const queues = { bulk: { concurrency: 2 } };
    const node = await harness.started({ jobs: [bulkJob, criticalJob], queues });
    for (let n = 0; n < 5; n += 1) await enqueue(harness, node, bulkJob);
    expect(bulk.waiting).toHaveLength(2);
  });

  test.for([
    ["more is reserved than there is", 3, { critical: { reserved: 4 } }],
    ["more is reserved than may run", 9, { critical: { concurrency: 2, reserved: 3 } }],
    ["a number is not whole", 9, { critical: { reserved: 1.5 } }],
  ] as const)("are refused where %s", async ([, totalConcurrency, queues]) => {
    await using harness = await Harness.open(sqliteMemory);
    const { bulkJob, criticalJob } = system();
    const jobs = [bulkJob, criticalJob];
    expect(() => harness.node({ jobs, totalConcurrency, queues })).toThrow(RangeError);
  });

  test("leave no timer behind that waits for a start", async () => {
    await using harness = await Harness.open(sqliteMemory);
    const clock = new ManualClock(harness.open.clock.now());
    const type = keyed(async () => {}, { lane: { rate: { limit: 20, per: "1s" } } });
    const node = harness.node({ jobs: [type], clock });
    for (let n = 0; n < 5; n += 1) await enqueue(harness, node, type);
    await node.durable.start();
    await harness.idle();
    await node.durable.stop(0);
    expect(clock.pending).toBe(0);
    expect(await harness.store.jobs.list({ state: "running", limit: 5 })).toEqual([]);
  });
});
