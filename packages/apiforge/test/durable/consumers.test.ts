import { ManualClock, turns } from "@apiforge/testing";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import {
  defineConsumer,
  defineEvent,
  defineJob,
  type ConsumerContext,
  type ConsumerDefinition,
  type EventDefinition,
} from "../../src/durable/index.ts";
import { storeFixtures } from "../store/fixtures.ts";
import { actor, Harness, type Node } from "./harness.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const data = z.object({ n: z.number() });
const created = defineEvent("project.created", data);
const removed = defineEvent("project.removed", data);
const other = defineEvent("projection.made", data);

/** Commits one event per number and waits for what follows at once. */
async function emit(
  harness: Harness,
  { durable }: Node,
  numbers: readonly number[],
  event: EventDefinition<typeof data> = created,
): Promise<void> {
  await durable.transact("emit", actor, async (tx) => {
    for (const n of numbers) tx.emit(event, { n });
  });
  await harness.idle();
}

function numberOf({ event }: ConsumerContext): number {
  return data.parse(JSON.parse(event.data)).n;
}

/** A consumer that keeps what it was given, also where its transaction is rolled back afterwards. */
function recorder(name: string, events: readonly string[], failing: (n: number) => boolean) {
  const seen: number[] = [];
  const consumer = defineConsumer(name, {
    events,
    async handle(context) {
      const n = numberOf(context);
      seen.push(n);
      if (failing(n)) throw new Error(`${name} fails at ${n}`);
    },
  });
  return { seen, consumer };
}

/** A consumer whose effect is a row per event; a second effect of the same event breaks the key. */
function noteTaker(
  name: string,
  failing: (n: number) => boolean = () => false,
): ConsumerDefinition {
  return defineConsumer(name, {
    events: ["project.*"],
    async handle({ event, tx }) {
      await tx.sql`insert into note (id, body) values (${`${name} ${event.seq}`}, ${event.data})`;
      if (failing(JSON.parse(event.data).n)) throw new Error("no");
    },
  });
}

async function notes(harness: Harness, name: string): Promise<number[]> {
  const rows = await harness.store.read("notes", (reader) =>
    reader.query({ texts: ["select id, body from note"], values: [] }),
  );
  return rows
    .filter(({ id }) => String(id).startsWith(`${name} `))
    .toSorted(
      (a, b) => Number(String(a["id"]).split(" ")[1]) - Number(String(b["id"]).split(" ")[1]),
    )
    .map(({ body }) => JSON.parse(String(body)).n);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

const never = () => false;

describe.for(storeFixtures)("a consumer on $name", (fixture) => {
  test("that has missed events stands still and says so, until it says what to do about them", async () => {
    await using harness = await Harness.open(fixture);
    const seen: number[] = [];
    const events = ["project.*"];
    const handle = async (context: ConsumerContext) => void seen.push(numberOf(context));
    const first = await harness.started({ consumers: [defineConsumer("crm", { events, handle })] });
    await emit(harness, first, [1]);
    await first.durable.stop(0);
    await emit(harness, first, [2, 3, 4]);
    await harness.open.advance(dayMs);
    // The last event is never deleted.
    await harness.store.events.sweep(hourMs, 10);
    const behind = await harness.started({
      consumers: [defineConsumer("crm", { events, handle })],
    });
    await emit(harness, behind, [5]);
    expect(seen).toEqual([1]);
    expect(behind.log.entries).toMatchObject([
      { level: "error", fields: { consumer: "crm", error: { code: "events_swept" } } },
    ]);
    await behind.durable.stop(0);
    const gaps: unknown[] = [];
    const crm = defineConsumer("crm", {
      events,
      handle,
      async missed({ after, until, tx }) {
        gaps.push([after, until]);
        await tx.sql`insert into note (id, body) values ('made anew', '{"n":9}')`;
      },
    });
    await harness.started({ consumers: [crm] });
    expect(seen).toEqual([1, 4, 5]);
    expect(gaps).toEqual([[1, 3]]);
    expect(await notes(harness, "made")).toEqual([9]);
  });

  test("that comes to a log that was swept begins at what is kept of it", async () => {
    await using harness = await Harness.open(fixture);
    const { consumer, seen } = recorder("late", ["project.*"], () => false);
    const first = await harness.started({});
    await emit(harness, first, [1, 2, 3]);
    await harness.open.advance(dayMs);
    await harness.store.events.sweep(hourMs, 10);
    await harness.started({ consumers: [consumer] });
    expect(seen).toEqual([3]);
  });

  test("sees every event once, in order, from the beginning of the log", async () => {
    await using harness = await Harness.open(fixture);
    await emit(harness, harness.node(), [1, 2, 3]);
    const { seen, consumer } = recorder("crm", ["project.created"], never);
    const node = await harness.started({ consumers: [consumer] });
    expect(seen).toEqual([1, 2, 3]);
    await emit(harness, node, [4]);
    await emit(harness, node, [5, 6]);
    await harness.advance(5_000);
    expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("sees the types that it names, by name or by prefix", async () => {
    await using harness = await Harness.open(fixture);
    const exact = recorder("exact", ["project.removed"], never);
    const prefix = recorder("prefix", ["project.*"], never);
    const all = recorder("all", ["*"], never);
    const both = recorder("both", ["projection.made", "project.removed"], never);
    const nothing = recorder("nothing", [], never);
    const recorders = [exact, prefix, all, both, nothing];
    const node = await harness.started({ consumers: recorders.map(({ consumer }) => consumer) });
    await emit(harness, node, [1], created);
    await emit(harness, node, [2], removed);
    await emit(harness, node, [3], other);
    expect(recorders.map(({ seen }) => seen)).toEqual([[2], [1, 2], [1, 2, 3], [2, 3], []]);
  });

  test("is told who the event is from, and acts on his behalf", async () => {
    await using harness = await Harness.open(fixture);
    const followUp = defineJob("follow-up", { input: z.object({}), run: async () => {} });
    const seen: unknown[] = [];
    const chain = defineConsumer("chain", {
      events: ["project.created"],
      async handle({ event, tx }) {
        seen.push(event);
        tx.emit(removed, { n: 9 });
        await tx.enqueue(followUp, {});
      },
    });
    const node = await harness.started({ consumers: [chain], jobs: [followUp] });
    const from = { tenant: "ten_other", requestId: "req_other" };
    await node.durable.transact("emit", from, async (tx) => tx.emit(created, { n: 1 }));
    await harness.idle();
    expect(seen).toMatchObject([{ type: "project.created", data: '{"n":1}', ...from }]);
    expect(await harness.job()).toMatchObject({ type: "follow-up", state: "completed", ...from });
    const [, caused] = await harness.store.events.read(0, 10);
    expect(caused).toMatchObject({ type: "project.removed", ...from });
  });

  test("handles more than a batch, in order", async () => {
    await using harness = await Harness.open(fixture);
    await emit(harness, harness.node(), range(1, 250));
    const { seen, consumer } = recorder("crm", ["*"], never);
    await harness.started({ consumers: [consumer] });
    expect(seen).toEqual(range(1, 250));
  });

  test("passes over what it does not want, however much that is", async () => {
    await using harness = await Harness.open(fixture);
    const producer = harness.node();
    await emit(harness, producer, range(1, 230), other);
    await emit(harness, producer, [1]);
    const { seen, consumer } = recorder("crm", ["project.created"], never);
    await harness.started({ consumers: [consumer] });
    expect(seen).toEqual([1]);
  });

  test("of another process's events is woken by polling", async () => {
    await using harness = await Harness.open(fixture);
    const { seen, consumer } = recorder("crm", ["*"], never);
    await harness.started({ consumers: [consumer], poll: "2s" });
    await emit(harness, harness.node(), [1]);
    expect(seen).toEqual([]);
    await harness.advance(2_000);
    expect(seen).toEqual([1]);
  });

  test("that fails delays neither the others nor requests nor jobs", async () => {
    await using harness = await Harness.open(fixture);
    let runs = 0;
    const job = defineJob("job", { input: z.object({}), run: async () => void (runs += 1) });
    const bad = recorder("bad", ["*"], () => true);
    const node = await harness.started({
      consumers: [bad.consumer, noteTaker("good")],
      jobs: [job],
    });
    await emit(harness, node, [1, 2]);
    await node.durable.transact("enqueue", actor, (tx) => tx.enqueue(job, {}));
    await harness.idle();
    expect(await notes(harness, "good")).toEqual([1, 2]);
    expect(runs).toBe(1);
    expect(new Set(bad.seen)).toEqual(new Set([1]));
  });

  test("tries a failed event again with growing waits, and skips nothing", async () => {
    await using harness = await Harness.open(fixture);
    let broken = true;
    const { seen, consumer } = recorder("crm", ["*"], (n) => broken && n === 1);
    // Drawn as 0, the jitter leaves the whole of each wait: 0.5 s, 1 s, 2 s.
    const node = await harness.started({ consumers: [consumer] });
    await emit(harness, node, [1, 2]);
    expect(seen).toEqual([1]);
    await harness.advance(500);
    expect(seen).toEqual([1, 1]);
    // A commit does not hurry it.
    await emit(harness, node, [3]);
    expect(seen).toEqual([1, 1]);
    await harness.advance(999);
    expect(seen).toEqual([1, 1]);
    await harness.advance(1);
    expect(seen).toEqual([1, 1, 1]);
    broken = false;
    await harness.advance(2_000);
    expect(seen).toEqual([1, 1, 1, 1, 2, 3]);
  });

  test("is done with the events before a bad one after one wait", async () => {
    await using harness = await Harness.open(fixture);
    const producer = harness.node();
    await emit(harness, producer, range(1, 40));
    const node = await harness.started({ consumers: [noteTaker("crm", (n) => n === 31)] });
    expect(await notes(harness, "crm")).toEqual([]);
    await harness.advance(500);
    expect(await notes(harness, "crm")).toEqual(range(1, 30));
    await harness.advance(120_000);
    expect(await notes(harness, "crm")).toEqual(range(1, 30));
    expect(node.log.entries.length).toBeGreaterThan(3);
    expect(node.log.entries.length).toBeLessThan(15);
  });

  test("has the effects of each event once, though they failed before", async () => {
    await using harness = await Harness.open(fixture);
    let broken = true;
    const node = await harness.started({
      consumers: [noteTaker("crm", (n) => broken && n === 3)],
    });
    await emit(harness, node, range(1, 6));
    broken = false;
    await harness.advance(10_000);
    expect(await notes(harness, "crm")).toEqual(range(1, 6));
  });

  test("has the effects of each event once, though two processes run it", async () => {
    await using harness = await Harness.open(fixture);
    const nodes = [
      await harness.started({ consumers: [noteTaker("crm")] }),
      await harness.started({ consumers: [noteTaker("crm")] }),
    ];
    for (const n of range(1, 20)) {
      const node = nodes[n % 2];
      if (node !== undefined) await emit(harness, node, [n]);
    }
    await harness.advance(2_000);
    expect(await notes(harness, "crm")).toEqual(range(1, 20));
    for (const { log } of nodes) {
      expect(log.entries.filter(({ level }) => level === "error")).toEqual([]);
    }
  });

  test("handles nothing after a stop, which waits for what it has begun", async () => {
    await using harness = await Harness.open(fixture);
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const slow = defineConsumer("crm", {
      events: ["*"],
      async handle({ event, tx }) {
        begun.resolve();
        await gate.promise;
        await tx.sql`insert into note (id, body) values (${`crm ${event.seq}`}, ${event.data})`;
      },
    });
    const clock = new ManualClock(harness.open.clock.now());
    const node = await harness.started({ consumers: [slow], clock });
    await node.durable.transact("emit", actor, async (tx) => tx.emit(created, { n: 1 }));
    await begun.promise;
    let isStopped = false;
    const stopped = node.durable.stop(1_000).then(() => (isStopped = true));
    await turns(10);
    expect(isStopped).toBe(false);
    gate.resolve();
    await stopped;
    expect(await notes(harness, "crm")).toEqual([1]);
    expect(clock.pending).toBe(0);
    await emit(harness, node, [2]);
    clock.advance(10_000);
    await harness.idle();
    expect(await notes(harness, "crm")).toEqual([1]);
  });

  if (fixture.persistent) {
    // A store in memory has no later life.
    test("goes on after a crash where its last commit left it", async () => {
      await using harness = await Harness.open(fixture);
      const first = await harness.started({ consumers: [noteTaker("crm")] });
      await emit(harness, first, [1, 2, 3]);
      await first.durable.stop(0);
      await emit(harness, first, [4]);
      harness.forget(first);
      await harness.open.crash();
      const { seen, consumer } = recorder("late", ["*"], never);
      await harness.started({ consumers: [noteTaker("crm"), consumer] });
      expect(await notes(harness, "crm")).toEqual([1, 2, 3, 4]);
      expect(seen).toEqual([1, 2, 3, 4]);
    });
  }
});
