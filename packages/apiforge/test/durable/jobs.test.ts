import { ManualClock, turns, until } from "@apiforge/testing";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import {
  defineEvent,
  defineJob,
  maxPayloadBytes,
  type EnqueueOptions,
  type JobContext,
  type JobDefinition,
  type Transaction,
} from "../../src/durable/index.ts";
import { ApiForgeError } from "../../src/kernel/index.ts";
import { exponential, fixedDelays, nonRetriable, retryAfter } from "../../src/resilience/index.ts";
import { storeFixtures } from "../store/fixtures.ts";
import { actor, answer, Harness, write, type Node } from "./harness.ts";

const anything = z.object({ n: z.number().optional() });
type Anything = z.infer<typeof anything>;
type Run = (context: JobContext<Anything>) => Promise<void>;
type Options = Partial<Omit<Parameters<typeof defineJob<typeof anything>>[1], "input" | "run">>;

/** A job type called `work` that waits 1 s after its first failure, 2 s after the next, and so on. */
function work(run: Run, options: Options = {}): JobDefinition<typeof anything> {
  const backoff = exponential("1s", { jitter: "none" });
  return defineJob("work", { input: anything, run, backoff, ...options });
}

/** Commits one job of `type` and waits for what follows at once. */
async function enqueue(
  harness: Harness,
  { durable }: Node,
  type: JobDefinition<typeof anything>,
  options?: EnqueueOptions,
  input: Anything = {},
): Promise<string> {
  const { id } = await durable.transact("enqueue", actor, (tx) => tx.enqueue(type, input, options));
  await harness.idle();
  return id;
}

async function noteIds(harness: Harness): Promise<string[]> {
  const rows = await harness.store.read("notes", (reader) =>
    reader.query({ texts: ["select id from note order by id"], values: [] }),
  );
  return rows.map((row) => String(row["id"]));
}

/** A handler that waits until the test lets it go, or its attempt is aborted. */
function gated() {
  const waiting: { context: JobContext<Anything>; go: () => void }[] = [];
  const run: Run = (context) =>
    new Promise((resolve) => void waiting.push({ context, go: resolve }));
  return { waiting, run };
}

describe.for(storeFixtures)("a job on $name", (fixture) => {
  test("runs after the commit that enqueued it, without waiting for the clock", async () => {
    await using harness = await Harness.open(fixture);
    const seen: JobContext<Anything>[] = [];
    const type = work(async (context) => void seen.push(context), { attempts: 4 });
    const node = await harness.started({ jobs: [type] });
    await node.durable.execute(
      write("k", async (tx) => {
        await tx.enqueue(type, { n: 7 });
        return answer(202);
      }),
    );
    await harness.idle();
    const job = await harness.job();
    expect(job).toMatchObject({ state: "completed", attempt: 1, lastError: null });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      id: job.id,
      input: { n: 7 },
      attempt: 1,
      maxAttempts: 4,
      tenant: actor.tenant,
      requestId: actor.requestId,
      idempotencyKey: job.id,
    });
  });

  test("is looked for after a request that may have left one, and after no other", async () => {
    await using harness = await Harness.open(fixture);
    const type = work(async () => undefined);
    const node = await harness.started({ jobs: [type] });
    const claims = vi.spyOn(harness.store.jobs, "claim");
    await node.durable.execute(write("without", async () => answer(200)));
    await harness.idle();
    expect(claims).not.toHaveBeenCalled();
    const leavers: ((tx: Transaction) => unknown)[] = [
      (tx) => tx.enqueue(type, {}),
      (tx) => tx.emit(defineEvent("happened", anything), {}),
      (tx) => tx.batches.cancel("bat_1"),
    ];
    for (const [index, leave] of leavers.entries()) {
      claims.mockClear();
      const left = write(`with ${index}`, async (tx) => {
        await leave(tx);
        return answer(200);
      });
      await node.durable.execute(left);
      await harness.idle();
      expect(claims).toHaveBeenCalled();
    }
  });

  test("does not run when the commit that enqueued it is undone", async () => {
    await using harness = await Harness.open(fixture);
    let runs = 0;
    const type = work(async () => void (runs += 1));
    const node = await harness.started({ jobs: [type] });
    const undone = node.durable.transact("undone", actor, async (tx) => {
      await tx.enqueue(type, {});
      throw new Error("no");
    });
    await expect(undone).rejects.toThrow("no");
    await harness.advance(5_000);
    expect(runs).toBe(0);
  });

  test("gets its input as its schema makes it", async () => {
    await using harness = await Harness.open(fixture);
    const input = z.object({
      at: z.iso.datetime().transform((text) => new Date(text)),
      size: z.number().default(3),
    });
    const seen: z.output<typeof input>[] = [];
    const type = defineJob("convert", {
      input,
      run: async (context) => void seen.push(context.input),
    });
    const node = await harness.started({ jobs: [type] });
    const at = "2030-01-02T03:04:05.000Z";
    await node.durable.transact("enqueue", actor, (tx) => tx.enqueue(type, { at }));
    await harness.idle();
    expect(seen).toEqual([{ at: new Date(at), size: 3 }]);
    expect((await harness.job()).payload).toBe(JSON.stringify({ at }));
  });

  test("whose input does not satisfy its schema is not enqueued", async () => {
    await using harness = await Harness.open(fixture);
    const type = work(async () => {});
    const node = await harness.started({ jobs: [type] });
    const failing = node.durable.transact("enqueue", actor, (tx) =>
      // @ts-expect-error -- the schema wants a number
      tx.enqueue(type, { n: "seven" }),
    );
    await expect(failing).rejects.toMatchObject({ code: "job_input_invalid" });
    expect(await harness.store.jobs.list({ limit: 1 })).toEqual([]);
  });

  test("is retried by its backoff until its attempts are used up, then dead", async () => {
    await using harness = await Harness.open(fixture);
    const attempts: number[] = [];
    const keys = new Set<string>();
    const type = work(
      async ({ attempt, idempotencyKey }) => {
        attempts.push(attempt);
        keys.add(idempotencyKey);
        throw new Error(`failure ${attempt}`);
      },
      { attempts: 3 },
    );
    const node = await harness.started({ jobs: [type] });
    const id = await enqueue(harness, node, type);
    const waits = [1_000, 2_000];
    for (const [index, waitMs] of waits.entries()) {
      const job = await harness.job();
      expect(job).toMatchObject({
        state: "scheduled",
        attempt: index + 1,
        runAt: harness.open.clock.now() + waitMs,
        lastError: `Error: failure ${index + 1}`,
      });
      await harness.advance(waitMs - 1);
      expect(attempts).toHaveLength(index + 1);
      await harness.advance(1);
      expect(attempts).toHaveLength(index + 2);
    }
    expect(attempts).toEqual([1, 2, 3]);
    expect(keys).toEqual(new Set([id]));
    expect(await harness.job()).toMatchObject({ state: "dead", lastError: "Error: failure 3" });
    await harness.advance(60_000);
    expect(attempts).toHaveLength(3);
  });

  test("draws its jitter from the injected source", async () => {
    await using harness = await Harness.open(fixture);
    const fail = async () => {
      throw new Error("no");
    };
    const type = work(fail, { backoff: exponential("10s") });
    const node = await harness.started({ jobs: [type], random: () => 0.75 });
    await enqueue(harness, node, type);
    expect((await harness.job()).runAt).toBe(harness.open.clock.now() + 2_500);
  });

  test.for([
    ["more than its backoff", "90s", 90_000],
    ["less than its backoff", "1s", 5_000],
  ] as const)("waits as long as it is asked to when that is %s", async ([, delay, waitMs]) => {
    await using harness = await Harness.open(fixture);
    const fail = async () => {
      throw retryAfter(delay, "Slow down");
    };
    const type = work(fail, { backoff: fixedDelays(["5s"]) });
    const node = await harness.started({ jobs: [type] });
    await enqueue(harness, node, type);
    expect(await harness.job()).toMatchObject({
      state: "scheduled",
      attempt: 1,
      runAt: harness.open.clock.now() + waitMs,
    });
  });

  test("is retried on time, however rarely the store is polled", async () => {
    await using harness = await Harness.open(fixture);
    let runs = 0;
    const fail = async () => {
      runs += 1;
      throw new Error("no");
    };
    const type = work(fail, { backoff: fixedDelays(["5s"]) });
    const node = await harness.started({ jobs: [type], poll: "1h" });
    await enqueue(harness, node, type);
    await harness.advance(4_999);
    expect(runs).toBe(1);
    await harness.advance(1);
    expect(runs).toBe(2);
  });

  test.for([
    ["says that no retry can help", nonRetriable("The number does not exist")],
    [
      "throws an error of ours that is not retryable",
      new ApiForgeError("x", { type: "api_error", status: 500, retryable: false }, "Broken"),
    ],
  ] as const)("that %s is dead at once", async ([, thrown]) => {
    await using harness = await Harness.open(fixture);
    let runs = 0;
    const type = work(async () => {
      runs += 1;
      throw thrown;
    });
    const node = await harness.started({ jobs: [type] });
    await enqueue(harness, node, type);
    await harness.advance(10_000);
    expect(runs).toBe(1);
    expect(await harness.job()).toMatchObject({ state: "dead", attempt: 1 });
    expect((await harness.job()).lastError).toContain(thrown.message);
  });

  test("that takes too long is aborted and retried, and its late end changes nothing", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = work(run, { timeout: "30s" });
    const node = await harness.started({ jobs: [type] });
    await enqueue(harness, node, type);
    await harness.advance(29_999);
    expect(waiting[0]?.context.signal.aborted).toBe(false);
    await harness.advance(1);
    const { signal } = waiting[0]?.context ?? {};
    expect(signal?.aborted).toBe(true);
    expect(signal?.reason).toMatchObject({ code: "job_timeout" });
    expect(await harness.job()).toMatchObject({ state: "scheduled", attempt: 1 });
    const late = waiting[0]?.context.complete(async (tx) => {
      await tx.sql`insert into note (id, body) values ('late', 'x')`;
    });
    await expect(late).rejects.toMatchObject({ code: "job_lease_lost" });
    waiting[0]?.go();
    await harness.advance(1_000);
    expect(waiting).toHaveLength(2);
    waiting[1]?.go();
    await harness.idle();
    expect(await harness.job()).toMatchObject({ state: "completed", attempt: 2 });
    expect(await noteIds(harness)).toEqual([]);
  });

  test("that is dead runs again with all its attempts when it is retried", async () => {
    await using harness = await Harness.open(fixture);
    let broken = true;
    const attempts: number[] = [];
    const type = work(async ({ attempt }) => {
      attempts.push(attempt);
      if (broken) throw nonRetriable("no");
    });
    const node = await harness.started({ jobs: [type] });
    const id = await enqueue(harness, node, type);
    broken = false;
    expect(await harness.store.jobs.retryDead(id)).toBe(true);
    await harness.advance(1_000);
    expect(attempts).toEqual([1, 1]);
    expect((await harness.job()).state).toBe("completed");
  });

  test("waits for its delay, to the millisecond, however rarely the store is polled", async () => {
    await using harness = await Harness.open(fixture);
    let runs = 0;
    const type = work(async () => void (runs += 1));
    const node = await harness.started({ jobs: [type], poll: "1h" });
    await enqueue(harness, node, type, { delay: "90s" });
    await harness.advance(89_999);
    expect(runs).toBe(0);
    await harness.advance(1);
    expect(runs).toBe(1);
  });

  test.for(["1.1s", "0.5ms", 0.1, 1_000.7] as const)("may be delayed by %s", async (delay) => {
    await using harness = await Harness.open(fixture);
    let runs = 0;
    const type = work(async () => void (runs += 1));
    const node = await harness.started({ jobs: [type] });
    await enqueue(harness, node, type, { delay });
    expect(Number.isInteger((await harness.job()).runAt)).toBe(true);
    await harness.advance(1_200);
    expect(runs).toBe(1);
  });

  test("of another process is noticed by polling", async () => {
    await using harness = await Harness.open(fixture);
    let runs = 0;
    const type = work(async () => void (runs += 1));
    await harness.started({ jobs: [type], poll: "2s" });
    await enqueue(harness, harness.node(), type);
    expect(runs).toBe(0);
    await harness.advance(2_000);
    expect(runs).toBe(1);
  });

  test("of higher priority runs first, and of equal priority the older one", async () => {
    await using harness = await Harness.open(fixture);
    const order: (number | undefined)[] = [];
    const type = work(async ({ input }) => void order.push(input.n), { priority: 5 });
    const node = harness.node({ jobs: [type], concurrency: 1 });
    await enqueue(harness, node, type, {}, { n: 1 });
    await enqueue(harness, node, type, {}, { n: 2 });
    await enqueue(harness, node, type, { priority: 6 }, { n: 3 });
    await enqueue(harness, node, type, { priority: -1 }, { n: 4 });
    await node.durable.start();
    await harness.idle();
    expect(order).toEqual([4, 1, 2, 3]);
  });

  test("shares its queue's concurrency, and no more run at once", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = work(run, { queue: "slow" });
    const other = defineJob("other", { input: anything, run: async () => {} });
    const node = await harness.started({
      jobs: [type, other],
      concurrency: 3,
    });
    for (let n = 0; n < 5; n += 1) await enqueue(harness, node, type);
    expect(waiting).toHaveLength(3);
    const id = await enqueue(harness, node, other);
    expect((await harness.store.jobs.find(id))?.state).toBe("completed");
    waiting[0]?.go();
    await harness.idle();
    expect(waiting).toHaveLength(4);
    for (const { go } of waiting) go();
    await harness.idle();
    waiting[4]?.go();
    await harness.idle();
    expect(await harness.store.jobs.list({ state: "completed", limit: 10 })).toHaveLength(6);
  });

  test("with a dedupe key is there once while it waits or runs, and again afterwards", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = work(run);
    const node = await harness.started({ jobs: [type] });
    const add = () =>
      node.durable.transact("add", actor, (tx) => tx.enqueue(type, {}, { dedupeKey: "invoice-7" }));
    const first = await add();
    expect(first.deduplicated).toBe(false);
    await harness.idle();
    expect(await add()).toEqual({ id: first.id, deduplicated: true });
    expect(waiting).toHaveLength(1);
    waiting[0]?.go();
    await harness.idle();
    const second = await add();
    expect(second.deduplicated).toBe(false);
    expect(second.id).not.toBe(first.id);
    await harness.idle();
    waiting[1]?.go();
    await harness.idle();
    expect(waiting).toHaveLength(2);
  });

  test.for([0, 256])("is refused with a dedupe key of %d characters", async (length) => {
    await using harness = await Harness.open(fixture);
    const type = work(async () => {});
    const node = await harness.started({ jobs: [type] });
    const failing = node.durable.transact("add", actor, (tx) =>
      tx.enqueue(type, {}, { dedupeKey: "x".repeat(length) }),
    );
    await expect(failing).rejects.toThrow(RangeError);
    const longest = { dedupeKey: "ä".repeat(255) };
    await enqueue(harness, node, type, longest);
    expect(await harness.job()).toMatchObject(longest);
  });

  test.for([1.5, Number.NaN, 2 ** 31])("is refused with the priority %d", async (priority) => {
    await using harness = await Harness.open(fixture);
    const type = work(async () => {});
    const node = await harness.started({ jobs: [type] });
    const failing = node.durable.transact("add", actor, (tx) => tx.enqueue(type, {}, { priority }));
    await expect(failing).rejects.toThrow(RangeError);
  });

  test("may carry 256 KB, and not one byte more", async () => {
    await using harness = await Harness.open(fixture);
    const input = z.object({ text: z.string() });
    let seen = 0;
    const run = async (context: JobContext<{ text: string }>) =>
      void (seen = context.input.text.length);
    const type = defineJob("big", { input, run });
    const event = defineEvent("big.happened", input);
    const node = await harness.started({ jobs: [type] });
    const frame = JSON.stringify({ text: "" }).length;
    // Half of the characters take two bytes, so that characters are not mistaken for bytes.
    const room = maxPayloadBytes - frame;
    const fits = "é".repeat(room / 4) + "x".repeat(room - 2 * Math.floor(room / 4));
    const text = fits.slice(0, fits.length);
    expect(Buffer.byteLength(JSON.stringify({ text }))).toBe(maxPayloadBytes);
    await node.durable.transact("fits", actor, async (tx) => {
      await tx.enqueue(type, { text });
      tx.emit(event, { text });
    });
    await harness.idle();
    expect(seen).toBe(text.length);
    const over = { text: `${text}x` };
    const job = node.durable.transact("over", actor, (tx) => tx.enqueue(type, over));
    await expect(job).rejects.toMatchObject({ code: "payload_too_large", status: 413 });
    const emit = node.durable.transact("over", actor, async (tx) => tx.emit(event, over));
    await expect(emit).rejects.toMatchObject({ code: "payload_too_large" });
  });
});

describe.for(storeFixtures)("completing a job with effects on $name", (fixture) => {
  const told = defineEvent("told", z.object({}));

  test("commits rows, events and follow-up jobs together with the completion", async () => {
    await using harness = await Harness.open(fixture);
    const done: string[] = [];
    const next = defineJob("next", { input: anything, run: async ({ id }) => void done.push(id) });
    const type = work(({ complete }) =>
      complete(async (tx) => {
        await tx.sql`insert into note (id, body) values ('a', 'x')`;
        tx.emit(told, {});
        await tx.enqueue(next, {});
      }),
    );
    const node = await harness.started({ jobs: [type, next] });
    const id = await enqueue(harness, node, type);
    expect(await noteIds(harness)).toEqual(["a"]);
    expect(await harness.store.jobs.find(id)).toMatchObject({ state: "completed", attempt: 1 });
    expect(await harness.store.events.read(0, 10)).toMatchObject([{ type: "told", ...actor }]);
    expect(done).toEqual([(await harness.job()).id]);
    expect(await harness.job()).toMatchObject({ type: "next", state: "completed", ...actor });
  });

  test("that fails commits nothing and fails the attempt", async () => {
    await using harness = await Harness.open(fixture);
    let broken = true;
    const type = work(({ complete }) =>
      complete(async (tx) => {
        await tx.sql`insert into note (id, body) values ('a', 'x')`;
        if (broken) throw new Error("no");
      }),
    );
    const node = await harness.started({ jobs: [type] });
    await enqueue(harness, node, type);
    expect(await harness.job()).toMatchObject({ state: "scheduled", lastError: "Error: no" });
    expect(await noteIds(harness)).toEqual([]);
    broken = false;
    await harness.advance(1_000);
    expect(await harness.job()).toMatchObject({ state: "completed", attempt: 2 });
    expect(await noteIds(harness)).toEqual(["a"]);
  });

  test("happens once", async () => {
    await using harness = await Harness.open(fixture);
    let second: unknown;
    const type = work(async ({ complete }) => {
      await complete(async (tx) => {
        await tx.sql`insert into note (id, body) values ('first', 'x')`;
      });
      second = await complete(async (tx) => {
        await tx.sql`insert into note (id, body) values ('second', 'x')`;
      }).catch((error: unknown) => error);
    });
    const node = await harness.started({ jobs: [type] });
    await enqueue(harness, node, type);
    expect(second).toMatchObject({ code: "job_completed_twice" });
    expect(await noteIds(harness)).toEqual(["first"]);
    expect((await harness.job()).state).toBe("completed");
  });

  test("stands, though the handler fails afterwards", async () => {
    await using harness = await Harness.open(fixture);
    const type = work(async ({ complete }) => {
      await complete(async () => {});
      throw new Error("too late");
    });
    const node = await harness.started({ jobs: [type] });
    await enqueue(harness, node, type);
    await harness.advance(5_000);
    expect(await harness.job()).toMatchObject({ state: "completed", attempt: 1, lastError: null });
  });

  test("has no effect for a process whose job was taken over", async () => {
    await using harness = await Harness.open(fixture);
    const stale = gated();
    const fresh = gated();
    const frozen = new ManualClock(harness.open.clock.now());
    const first = await harness.started({ jobs: [work(stale.run)], clock: frozen });
    const id = await enqueue(harness, first, work(stale.run));
    expect(stale.waiting).toHaveLength(1);
    // The first process stands still: its clock does not move, so neither does its heartbeat.
    await harness.started({ jobs: [work(fresh.run)] });
    await harness.advance(15_000);
    expect(fresh.waiting).toHaveLength(1);
    expect(fresh.waiting[0]?.context).toMatchObject({ id, attempt: 1 });
    const [slow, quick] = [stale.waiting[0], fresh.waiting[0]];
    const late = slow?.context.complete(async (tx) => {
      await tx.sql`insert into note (id, body) values ('stale', 'x')`;
    });
    await expect(late).rejects.toMatchObject({ code: "job_lease_lost" });
    await quick?.context.complete(async (tx) => {
      await tx.sql`insert into note (id, body) values ('fresh', 'x')`;
    });
    slow?.go();
    quick?.go();
    await harness.idle();
    expect(await noteIds(harness)).toEqual(["fresh"]);
    expect(await harness.store.jobs.find(id)).toMatchObject({ state: "completed", attempt: 1 });
  });

  test("the end of an attempt whose job was taken over is dropped", async () => {
    await using harness = await Harness.open(fixture);
    const stale = gated();
    const fresh = gated();
    const frozen = new ManualClock(harness.open.clock.now());
    const first = await harness.started({ jobs: [work(stale.run)], clock: frozen });
    const id = await enqueue(harness, first, work(stale.run));
    await harness.started({ jobs: [work(fresh.run)] });
    await harness.advance(15_000);
    stale.waiting[0]?.go();
    await harness.idle();
    expect((await harness.store.jobs.find(id))?.state).toBe("running");
    expect(first.log.entries.some(({ message }) => message.includes("taken over"))).toBe(true);
    fresh.waiting[0]?.go();
    await harness.idle();
    expect((await harness.store.jobs.find(id))?.state).toBe("completed");
  });
});

describe.for(storeFixtures)("a deployment on $name", (fixture) => {
  test("keeps jobs of a type that a process does not know until one does", async () => {
    await using harness = await Harness.open(fixture);
    let runs = 0;
    const type = work(async () => void (runs += 1));
    const other = defineJob("other", { input: anything, run: async () => {} });
    const old = await harness.started({ jobs: [other] });
    await enqueue(harness, old, type);
    expect(await harness.job()).toMatchObject({ state: "scheduled", attempt: 1 });
    expect((await harness.job()).lastError).toContain("work");
    await old.durable.stop(0);
    await harness.started({ jobs: [other, type] });
    await harness.advance(30_000);
    expect(runs).toBe(1);
    expect((await harness.job()).state).toBe("completed");
  });

  test("buries a job whose stored input no longer satisfies its schema, without running it", async () => {
    await using harness = await Harness.open(fixture);
    const before = defineJob("work", { input: z.object({}), run: async () => {} });
    const node = harness.node();
    await node.durable.transact("enqueue", actor, (tx) => tx.enqueue(before, {}));
    let runs = 0;
    const after = defineJob("work", {
      input: z.object({ required: z.string() }),
      run: async () => void (runs += 1),
    });
    await harness.started({ jobs: [after] });
    expect(runs).toBe(0);
    expect(await harness.job()).toMatchObject({ state: "dead", attempt: 1 });
    expect((await harness.job()).lastError).toContain("required");
  });
});

describe.for(storeFixtures)("stopping on $name", (fixture) => {
  test("waits for running attempts and claims nothing more", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = work(run);
    const node = await harness.started({ jobs: [type], concurrency: 1 });
    await enqueue(harness, node, type);
    const waitingId = await enqueue(harness, node, type);
    let isStopped = false;
    const stopped = node.durable.stop(10_000).then(() => (isStopped = true));
    await turns(10);
    expect(isStopped).toBe(false);
    expect(waiting[0]?.context.signal.aborted).toBe(false);
    waiting[0]?.go();
    await stopped;
    expect(waiting).toHaveLength(1);
    expect((await harness.job(1)).state).toBe("completed");
    expect(await harness.store.jobs.find(waitingId)).toMatchObject({ state: "ready", attempt: 0 });
    await harness.advance(20_000);
    expect(waiting).toHaveLength(1);
  });

  test("aborts what runs past the deadline and gives it back without counting the attempt", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = work(run, { attempts: 1 });
    const node = await harness.started({ jobs: [type] });
    const id = await enqueue(harness, node, type);
    const stopped = node.durable.stop(10_000);
    await turns(5);
    await harness.open.advance(9_999);
    expect(waiting[0]?.context.signal.aborted).toBe(false);
    await harness.open.advance(1);
    expect(waiting[0]?.context.signal.aborted).toBe(true);
    await stopped;
    expect(await harness.store.jobs.find(id)).toMatchObject({
      state: "ready",
      attempt: 0,
      lastError: null,
    });
    const late = waiting[0]?.context.complete(async () => {});
    await expect(late).rejects.toMatchObject({ code: "job_lease_lost" });
    await harness.started({ jobs: [type] });
    expect(waiting).toHaveLength(2);
    expect(waiting[1]?.context.attempt).toBe(1);
  });

  test("without having started, and twice, is no error", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node({ jobs: [work(async () => {})] });
    await durable.stop(0);
    await durable.start();
    await durable.stop(0);
    await expect(durable.stop(0)).resolves.toBeUndefined();
  });

  test("leaves no timer", async () => {
    await using harness = await Harness.open(fixture);
    const clock = new ManualClock(harness.open.clock.now());
    const node = await harness.started({ jobs: [work(async () => {})], clock });
    expect(clock.pending).toBeGreaterThan(0);
    await node.durable.stop(1_000);
    expect(clock.pending).toBe(0);
  });
});

describe.for(storeFixtures)("the lease of a process on $name", (fixture) => {
  test("lasts as long as it lives, however long its jobs run", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = work(run, { timeout: "1h" });
    const node = await harness.started({ jobs: [type] });
    await enqueue(harness, node, type);
    // Where there can be others, they look for jobs of dead processes all the time.
    if (!harness.store.capabilities.singleProcess) await harness.started({ jobs: [type] });
    await harness.advance(60_000);
    expect(waiting).toHaveLength(1);
    waiting[0]?.go();
    await harness.idle();
    expect(await harness.job()).toMatchObject({ state: "completed", attempt: 1 });
  });

  test("is lost with its heartbeat: running attempts are aborted, and later it works again", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = work(run);
    const frozen = new ManualClock(harness.open.clock.now());
    const node = await harness.started({ jobs: [type], clock: frozen, poll: "1h" });
    await enqueue(harness, node, type);
    // Another process declares this one dead.
    await harness.open.advance(11_000);
    await harness.store.workers.recoverExpired(10_000);
    expect((await harness.job()).state).toBe("ready");
    frozen.advance(3_000);
    await harness.idle();
    expect(waiting[0]?.context.signal.aborted).toBe(true);
    expect(waiting).toHaveLength(2);
    // A death is no attempt.
    expect(waiting[1]?.context.attempt).toBe(1);
    waiting[1]?.go();
    await harness.idle();
    expect(await harness.job()).toMatchObject({ state: "completed", attempt: 1 });
  });

  test("is lost before it knows: all its attempts are aborted, the ones begun since too", async () => {
    await using harness = await Harness.open(fixture);
    const { waiting, run } = gated();
    const type = work(run);
    const frozen = new ManualClock(harness.open.clock.now());
    const node = await harness.started({ jobs: [type], clock: frozen, poll: "1s" });
    await enqueue(harness, node, type);
    await harness.open.advance(11_000);
    await harness.store.workers.recoverExpired(10_000);
    // The process wakes from a stall: it polls, and takes its own job again, before its heartbeat.
    frozen.advance(1_000);
    await harness.idle();
    expect(waiting).toHaveLength(2);
    expect(waiting.map(({ context }) => context.signal.aborted)).toEqual([false, false]);
    frozen.advance(2_000);
    await harness.idle();
    expect(waiting.map(({ context }) => context.signal.aborted)).toEqual([true, true]);
  });

  test("ends when it is killed: what it had claimed and not begun keeps all its attempts", async () => {
    await using harness = await Harness.open(fixture);
    const killed = gated();
    const type = work(killed.run, { attempts: 1 });
    const frozen = new ManualClock(harness.open.clock.now());
    const first = harness.node({ jobs: [type], clock: frozen, concurrency: 1 });
    for (let n = 0; n < 6; n += 1) await enqueue(harness, first, type);
    await first.durable.start();
    await harness.idle();
    expect(killed.waiting).toHaveLength(1);
    harness.forget(first);
    const ran = new Set<string>();
    const next = work(async ({ id }) => void ran.add(id), { attempts: 1 });
    await harness.started({ jobs: [next] });
    await harness.advance(14_000);
    expect(ran.size).toBe(6);
    expect(await harness.store.jobs.list({ state: "completed", limit: 10 })).toHaveLength(6);
  });

  test("ends when it is killed: another process runs its jobs within 13 s", async () => {
    await using harness = await Harness.open(fixture);
    const killed = gated();
    const frozen = new ManualClock(harness.open.clock.now());
    const first = await harness.started({ jobs: [work(killed.run)], clock: frozen });
    await enqueue(harness, first, work(killed.run));
    harness.forget(first);
    const next = gated();
    await harness.started({ jobs: [work(next.run)] });
    await harness.advance(13_000);
    expect(next.waiting).toHaveLength(1);
    expect(next.waiting[0]?.context.attempt).toBe(1);
    next.waiting[0]?.go();
    await until("the job to end", async () => (await harness.job()).state === "completed");
  });
});
