import { ManualClock, recordingLog, type LogEntry } from "@apiforge/testing";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import {
  createDurable,
  defineJob,
  defineSchedule,
  type ScheduleOptions,
} from "../../src/durable/index.ts";
import { storeFixtures } from "../store/fixtures.ts";
import { sqliteMemory } from "../store/sqlite-fixture.ts";
import { Harness, type Node } from "./harness.ts";

const minuteMs = 60_000;
const input = z.object({ fireAt: z.number() });
type Options = Partial<ScheduleOptions<typeof input>>;

/** A schedule `report` that ticks every minute, and what its job was given. */
function reporting(options: Options = {}) {
  const runs: number[] = [];
  const job = defineJob("report", {
    input,
    run: async (context) => void runs.push(context.input.fireAt),
  });
  const schedule = defineSchedule("report", {
    cron: "* * * * *",
    job,
    input: ({ fireAt }) => ({ fireAt }),
    ...options,
  });
  return { runs, definitions: { jobs: [job], schedules: [schedule] } };
}

/** Minutes after `startAt`, from `first` to `last`. */
function minutes(startAt: number, first: number, last: number): number[] {
  return Array.from(
    { length: last - first + 1 },
    (_, index) => startAt + (first + index) * minuteMs,
  );
}

/** Recorded ticks as minutes after `startAt`, first first: `1f` fired, `2m` missed. */
async function ticks(harness: Harness, startAt: number): Promise<string> {
  const recorded = await harness.store.schedules.ticks("report", 1_000);
  return recorded
    .toReversed()
    .map(({ fireAt, outcome }) => `${(fireAt - startAt) / minuteMs}${outcome[0]}`)
    .join(" ");
}

/** What a node has logged about its schedules. */
function complaints({ log }: Node): readonly LogEntry[] {
  return log.entries.filter(({ fields }) => "schedule" in fields);
}

/** Ends a node in order, so that none is there while time passes. */
async function stop(harness: Harness, node: Node): Promise<void> {
  await node.durable.stop(0);
  harness.forget(node);
}

describe.for(storeFixtures)("a schedule on $name", (fixture) => {
  test("runs its job at each tick, on behalf of its tenant", async () => {
    await using harness = await Harness.open(fixture);
    const startAt = harness.open.clock.now();
    const { runs, definitions } = reporting({ tenant: "ten_9" });
    await harness.started(definitions);
    await harness.advance(minuteMs - 1);
    expect(runs).toEqual([]);
    await harness.advance(1);
    expect(runs).toEqual([startAt + minuteMs]);
    await harness.advance(2 * minuteMs);
    expect(runs).toEqual(minutes(startAt, 1, 3));
    expect(await ticks(harness, startAt)).toBe("1f 2f 3f");
    const [last] = await harness.store.schedules.ticks("report", 1);
    const job = await harness.job();
    expect(job).toMatchObject({ state: "completed", tenant: "ten_9", type: "report" });
    expect(last?.jobId).toBe(job.id);
  });

  test("ticks every second where it is told to", async () => {
    await using harness = await Harness.open(fixture);
    const startAt = harness.open.clock.now();
    const { runs, definitions } = reporting({ cron: "* * * * * *" });
    await harness.started(definitions);
    await harness.advance(7_000);
    expect(runs).toEqual([1, 2, 3, 4, 5, 6, 7].map((second) => startAt + second * 1_000));
  });

  test("of two nodes, where the store takes them, fires each tick once", async () => {
    await using harness = await Harness.open(fixture);
    const startAt = harness.open.clock.now();
    const first = reporting();
    const second = reporting();
    const nodes = [await harness.started(first.definitions)];
    if (!harness.store.capabilities.singleProcess)
      nodes.push(await harness.started(second.definitions));
    await harness.advance(10 * minuteMs);
    const runs = [...first.runs, ...second.runs].toSorted((a, b) => a - b);
    expect(runs).toEqual(minutes(startAt, 1, 10));
    for (const node of nodes) expect(complaints(node)).toEqual([]);
  });

  test.for([
    ["none", "1m 2m 3m 4m 5m 6f"],
    ["latest", "1m 2m 3m 4m 5f 6f"],
    [{ atMost: 3 }, "1m 2m 3f 4f 5f 6f"],
  ] as const)("that nobody was there for catches up as told: %j", async ([catchUp, expected]) => {
    await using harness = await Harness.open(fixture);
    const startAt = harness.open.clock.now();
    const { definitions } = reporting({ catchUp, grace: "30s" });
    await stop(harness, await harness.started(definitions));
    await harness.advance(5 * minuteMs + 45_000);
    const node = await harness.started(definitions);
    await harness.advance(15_000);
    expect(await ticks(harness, startAt)).toBe(expected);
    const missed = [...expected.matchAll(/m/g)].length;
    expect(complaints(node)).toMatchObject([{ level: "warn", fields: { missed } }]);
  });

  test("that was away for long deals with all of it, in many commits", async () => {
    await using harness = await Harness.open(fixture);
    const { runs, definitions } = reporting({
      cron: "* * * * * *",
      catchUp: { atMost: 5 },
      grace: 0,
    });
    const startAt = harness.open.clock.now();
    await stop(harness, await harness.started(definitions));
    await harness.open.advance(400_500);
    const node = await harness.started(definitions);
    expect(complaints(node)).toMatchObject([{ fields: { missed: 395 } }]);
    const recorded = await harness.store.schedules.ticks("report", 1_000);
    expect(recorded.map(({ fireAt }) => (fireAt - startAt) / 1_000).toReversed()).toEqual(
      Array.from({ length: 400 }, (_, index) => index + 1),
    );
    expect(runs.map((fireAt) => (fireAt - startAt) / 1_000)).toEqual([396, 397, 398, 399, 400]);
  });

  test("that is paused fires nothing, on any node and across restarts, and records what it misses", async () => {
    await using harness = await Harness.open(fixture);
    const startAt = harness.open.clock.now();
    const { runs, definitions } = reporting({ catchUp: { atMost: 100 } });
    const first = await harness.started(definitions);
    const nodes = [first];
    if (!harness.store.capabilities.singleProcess) nodes.push(await harness.started(definitions));
    await harness.advance(minuteMs);
    await first.durable.schedules.pause("report");
    await harness.advance(2 * minuteMs);
    for (const node of nodes) await stop(harness, node);
    await harness.advance(2 * minuteMs);
    const third = await harness.started(definitions);
    expect(await third.durable.schedules.list()).toMatchObject([{ isPaused: true }]);
    await harness.advance(minuteMs);
    await third.durable.schedules.resume("report");
    await harness.advance(2 * minuteMs);
    expect(complaints(third)).toEqual([]);
    expect(await ticks(harness, startAt)).toBe("1f 2m 3m 4m 5m 6m 7f 8f");
    expect(runs).toEqual([...minutes(startAt, 1, 1), ...minutes(startAt, 7, 8)]);
  });

  test("that is paused late still fires what was due before", async () => {
    await using harness = await Harness.open(fixture);
    const startAt = harness.open.clock.now();
    const { definitions } = reporting();
    await stop(harness, await harness.started(definitions));
    await harness.advance(minuteMs + 10_000);
    // This node runs nothing by itself.
    await harness.node(definitions).durable.schedules.pause("report");
    expect(await ticks(harness, startAt)).toBe("1f");
  });

  test("is told of, and triggered by hand, without a tick", async () => {
    await using harness = await Harness.open(fixture);
    const startAt = harness.open.clock.now();
    const { runs, definitions } = reporting({ timeZone: "Asia/Kolkata" });
    const node = harness.node(definitions);
    const report = { name: "report", cron: "* * * * *", timeZone: "Asia/Kolkata", job: "report" };
    const { schedules } = node.durable;
    expect(await schedules.list()).toEqual([{ ...report, isPaused: false, nextAt: null }]);
    await node.durable.start();
    await schedules.pause("report");
    expect(await schedules.list()).toEqual([
      { ...report, isPaused: true, nextAt: startAt + minuteMs },
    ]);
    const { id } = await schedules.trigger("report");
    await harness.idle();
    expect(runs).toEqual([startAt]);
    expect((await harness.job()).id).toBe(id);
    expect(await schedules.ticks("report")).toEqual([]);
    await harness.advance(2 * minuteMs);
    expect(await schedules.ticks("report", { limit: 1 })).toMatchObject([
      { fireAt: startAt + 2 * minuteMs, outcome: "missed", jobId: null },
    ]);
    for (const call of [schedules.pause, schedules.resume, schedules.trigger, schedules.ticks]) {
      await expect(call("nothing")).rejects.toMatchObject({
        code: "schedule_unknown",
        status: 404,
      });
    }
  });

  test("that was changed ticks by its new expression from the start of the first node that has it", async () => {
    await using harness = await Harness.open(fixture);
    const startAt = harness.open.clock.now();
    const old = reporting();
    const node = await harness.started(old.definitions);
    await harness.advance(minuteMs);
    await harness.started(reporting({ cron: "*/3 * * * *" }).definitions);
    // The old node follows.
    await harness.advance(6 * minuteMs);
    expect(await ticks(harness, startAt)).toBe("1f 3f 6f");
    expect(await node.durable.schedules.list()).toMatchObject([{ cron: "*/3 * * * *" }]);
  });

  test("that was changed while nobody was there misses what the old expression had", async () => {
    await using harness = await Harness.open(fixture);
    const startAt = harness.open.clock.now();
    await stop(harness, await harness.started(reporting().definitions));
    await harness.advance(4 * minuteMs + 30_000);
    await harness.started(reporting({ cron: "*/5 * * * *", grace: "20s" }).definitions);
    await harness.advance(minuteMs);
    expect(await ticks(harness, startAt)).toBe("1m 2m 3m 4m 5f");
  });

  test("fires no tick again when the clock is set back", async () => {
    await using harness = await Harness.open(fixture);
    const startAt = harness.open.clock.now();
    const { runs, definitions } = reporting();
    const node = await harness.started(definitions);
    await harness.advance(5 * minuteMs);
    await harness.open.advance(-3 * minuteMs);
    await harness.advance(2 * minuteMs);
    await stop(harness, node);
    // A new expression looks for its next tick from the time that the clock tells.
    const changed = reporting({ cron: "*/2 * * * *" });
    await harness.started(changed.definitions);
    await harness.advance(4 * minuteMs);
    expect(await ticks(harness, startAt)).toBe("1f 2f 3f 4f 5f 6f 8f");
    expect([...runs, ...changed.runs]).toHaveLength(7);
  });

  test("whose input cannot be made delays no other, and fires when it can be", async () => {
    await using harness = await Harness.open(fixture);
    const startAt = harness.open.clock.now();
    let isBroken = true;
    const good = reporting();
    const [job] = good.definitions.jobs;
    if (job === undefined) throw new Error("There is no job");
    const bad = defineSchedule("bad", {
      cron: "* * * * *",
      job,
      input: ({ fireAt }) => {
        if (isBroken) throw new Error("no");
        return { fireAt: -fireAt };
      },
    });
    const { jobs, schedules } = good.definitions;
    const { log } = await harness.started({ jobs, schedules: [bad, ...schedules] });
    await harness.advance(2 * minuteMs);
    expect(good.runs).toEqual(minutes(startAt, 1, 2));
    const failures = log.entries.filter(({ fields }) => fields["schedule"] === "bad");
    expect(failures.length).toBeGreaterThan(2);
    expect(failures.length).toBeLessThan(20);
    isBroken = false;
    await harness.advance(minuteMs);
    expect(good.runs.filter((at) => at < 0)).toContain(-startAt - 3 * minuteMs);
  });

  test("fires nothing after a stop", async () => {
    await using harness = await Harness.open(fixture);
    const clock = new ManualClock(harness.open.clock.now());
    const { runs, definitions } = reporting();
    const node = await harness.started({ ...definitions, clock });
    await node.durable.stop(0);
    expect(clock.pending).toBe(0);
    await harness.open.advance(2 * minuteMs);
    clock.advance(2 * minuteMs);
    await harness.idle();
    expect(runs).toEqual([]);
  });

  test("forgets its ticks after their retention", async () => {
    await using harness = await Harness.open(fixture);
    const startAt = harness.open.clock.now();
    await harness.started({ ...reporting().definitions, tickRetention: "3m" });
    await harness.advance(8 * minuteMs);
    expect(await ticks(harness, startAt)).toMatch(/^[45]f .*8f$/);
  });

  if (fixture.persistent) {
    // A store in memory has no later life.
    test("goes on after a crash where its last commit left it", async () => {
      await using harness = await Harness.open(fixture);
      const startAt = harness.open.clock.now();
      const { definitions } = reporting({ catchUp: "latest" });
      const node = await harness.started(definitions);
      await harness.advance(2 * minuteMs);
      await stop(harness, node);
      await harness.open.crash();
      await harness.advance(3 * minuteMs + 30_000);
      await harness.started(definitions);
      await harness.advance(minuteMs);
      expect(await ticks(harness, startAt)).toBe("1f 2f 3m 4m 5f 6f");
    });
  }
});

describe("createDurable", () => {
  test("refuses two schedules of one name, and one whose job nobody declares", async () => {
    await using open = await sqliteMemory.open();
    const { jobs, schedules } = reporting().definitions;
    const parts = { store: open.store, log: recordingLog(), consumers: [] };
    expect(() =>
      createDurable({ ...parts, jobs, schedules: [...schedules, ...schedules] }),
    ).toThrow(/schedule.*report/);
    expect(() => createDurable({ ...parts, jobs: [], schedules })).toThrow(
      /Schedule report enqueues job report/,
    );
  });
});
