import fc from "fast-check";
import { turns } from "@apiforge/testing";
import { describe, expect, test } from "vitest";

import { LeaseDesk, type LeaseSource } from "../../../src/edge/limits/lease-desk.ts";
import { LeasedCounter } from "../../../src/edge/limits/leased-counter.ts";
import { limitPolicy, type LimitPolicy } from "../../../src/edge/limits/policy.ts";
import type { Clock } from "../../../src/kernel/index.ts";
import { sqliteMemory } from "../../store/sqlite-fixture.ts";

const windowMs = 10_000;
const beginAt = Date.UTC(2030, 0, 31, 23, 59, 50);

/** One time for all nodes, of which each counts from a beginning of its own. */
class World implements Clock {
  nowAt = beginAt;
  readonly timers = new Set<{ at: number; callback: () => void }>();
  readonly admitted: { subject: string; at: number }[] = [];
  /** Waited for by every answer of the store, until it is let through. */
  gate: PromiseWithResolvers<void> | undefined;
  isAway = false;

  now = (): number => this.nowAt;

  after(delayMs: number, callback: () => void) {
    const timer = { at: this.nowAt + delayMs, callback };
    this.timers.add(timer);
    return { cancel: () => void this.timers.delete(timer) };
  }
}

type Advance = (ms: number) => Promise<void>;

class Node {
  readonly counter: LeasedCounter;
  readonly world: World;
  readonly #bootAt: number;
  isAlive = true;
  asks = 0;
  refused = 0;

  constructor(world: World, policy: LimitPolicy, source: LeaseSource) {
    this.world = world;
    this.#bootAt = world.nowAt;
    const desk = new LeaseDesk({
      lease: async (asks) => {
        this.asks++;
        if (world.isAway) throw new Error("The store is away");
        const leases = await source.lease(asks);
        await world.gate?.promise;
        return leases;
      },
    });
    this.counter = new LeasedCounter(policy, desk, world, this.#elapsed);
  }

  readonly #elapsed = (): number => this.world.nowAt - this.#bootAt;

  async request(subject: string): Promise<void> {
    try {
      for (;;) {
        const wait = this.counter.prepare(subject, this.#elapsed());
        if (wait === undefined) break;
        await wait;
      }
    } catch {
      return;
    }
    if (!this.isAlive) return;
    if (this.counter.look(subject, this.#elapsed()).remaining < 1) {
      this.refused++;
      return;
    }
    this.counter.take(subject, this.#elapsed());
    this.world.admitted.push({ subject, at: this.world.nowAt });
  }
}

/** Nodes over one real store. */
async function deployment(limit: number, per: "10s" | "day" | "month") {
  const open = await sqliteMemory.open();
  const world = new World();
  await open.advance(beginAt - open.clock.now());
  const policy = limitPolicy({ name: "p", limit, per }, "address");
  const start = (): Node => new Node(world, policy, open.store.quotas);
  const advance: Advance = async (ms) => {
    world.nowAt += ms;
    await open.advance(ms);
    for (const timer of world.timers) {
      if (timer.at > world.nowAt) continue;
      world.timers.delete(timer);
      timer.callback();
    }
    await turns(6);
  };
  const close = () => open[Symbol.asyncDispose]();
  return { world, start, advance, [Symbol.asyncDispose]: close };
}

type Step =
  | {
      readonly kind: "request";
      readonly node: 0 | 1;
      readonly subject: string;
      readonly count: number;
    }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "slow" | "answer" | "away" | "back" }
  | { readonly kind: "kill" | "stop"; readonly node: 0 | 1 };

const node = fc.constantFrom(0 as const, 1 as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("request" as const),
      node,
      subject: fc.constantFrom("a", "b"),
      count: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.constantFrom(0, 1, 40, 79, 158, 1_000, 5_000, windowMs),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("slow" as const, "answer" as const, "away" as const, "back" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("kill" as const, "stop" as const), node }),
  },
);

async function play(steps: readonly Step[], limit: number, per: "10s" | "day" | "month") {
  await using nodesOfOne = await deployment(limit, per);
  const { world, start, advance } = nodesOfOne;
  const nodes: [Node, Node] = [start(), start()];
  const pending: Promise<void>[] = [];
  const answer = (): void => {
    world.gate?.resolve();
    world.gate = undefined;
  };
  for (const each of steps) {
    switch (each.kind) {
      case "request":
        for (let n = 0; n < each.count; n++) pending.push(nodes[each.node].request(each.subject));
        break;
      case "wait":
        await advance(each.ms);
        break;
      case "slow":
        world.gate ??= Promise.withResolvers();
        break;
      case "answer":
        answer();
        break;
      case "away":
      case "back":
        world.isAway = each.kind === "away";
        break;
      case "kill":
      case "stop":
        nodes[each.node].isAlive = false;
        if (each.kind === "stop") {
          answer();
          await nodes[each.node].counter.close();
        }
        nodes[each.node] = start();
    }
    await turns(4);
  }
  answer();
  await Promise.all(pending);
  for (const one of nodes) await one.counter.close();
  world.timers.clear();
  return world;
}

describe("nodes that lease from one store", () => {
  test.each([1, 5, 40])(
    "never pass a sliding limit of %i together: slow or lost answers, kills and stops of nodes included",
    async (limit) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
          const { admitted } = await play(steps, limit, "10s");
          for (const { subject, at } of admitted) {
            const within = admitted.filter(
              (one) => one.subject === subject && one.at >= at && one.at < at + windowMs,
            );
            expect(within.length).toBeLessThanOrEqual(limit);
          }
        }),
        { numRuns: 40 },
      );
    },
    60_000,
  );

  test.each(["day", "month"] as const)(
    "never pass a quota of a %s together",
    async (per) => {
      const midnight = Date.UTC(2030, 1, 1);
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
          const { admitted } = await play(steps, 9, per);
          for (const subject of ["a", "b"]) {
            const own = admitted.filter((one) => one.subject === subject);
            expect(own.filter(({ at }) => at < midnight).length).toBeLessThanOrEqual(9);
            expect(own.filter(({ at }) => at >= midnight).length).toBeLessThanOrEqual(9);
          }
        }),
        { numRuns: 40 },
      );
    },
    60_000,
  );

  test("admit all of a limit that comes at once, whichever node it comes to", async () => {
    await using nodesOfOne = await deployment(20, "10s");
    const { world, start } = nodesOfOne;
    const nodes = [start(), start()];
    await Promise.all(nodes.flatMap((one) => Array.from({ length: 15 }, () => one.request("a"))));
    expect(world.admitted).toHaveLength(20);
    for (const one of nodes) await one.counter.close();
  });

  test("ask for few of many requests, and a stop gives back the rest", async () => {
    await using nodesOfOne = await deployment(3_200, "month");
    const { world, start } = nodesOfOne;
    const first = start();
    for (let n = 0; n < 1_000; n++) await first.request("a");
    expect(world.admitted).toHaveLength(1_000);
    expect(first.asks).toBeLessThan(20);
    await first.counter.close();
    expect(await start().counter.standing("a")).toMatchObject({ remaining: 2_200 });
  });

  test("give back what nobody uses any more", async () => {
    await using nodesOfOne = await deployment(3_200, "month");
    const { start, advance } = nodesOfOne;
    const [one, other] = [start(), start()];
    // Into the next month, which does not end soon.
    await advance(windowMs);
    for (let n = 0; n < 20; n++) await one.request("a");
    await advance(5_000);
    await advance(5_000);
    expect(await other.counter.standing("a")).toMatchObject({ remaining: 3_180 });
    expect(one.counter.size).toBe(0);
  });
});

describe("a block that ends", () => {
  const policy = limitPolicy({ name: "p", limit: 100, per: "10s" }, "address");
  const usableMs = 100;

  function counting() {
    const times = { nowAt: beginAt, elapsedMs: 0 };
    const asked: number[] = [];
    const source: LeaseSource = {
      lease: async (asks) => {
        asked.push(...asks.map(({ needed }) => needed));
        return asks.map(({ needed }) => ({
          granted: needed + 5,
          endsAt: times.nowAt + usableMs,
          usableMs,
          remaining: 50,
          resetInMs: 10_000,
        }));
      },
    };
    const clock: Clock = {
      now: () => times.nowAt,
      after: () => ({ cancel: () => undefined }),
    };
    const desk = new LeaseDesk(source);
    return { times, asked, counter: new LeasedCounter(policy, desk, clock, () => times.elapsedMs) };
  }

  test.each([
    { what: "the process was stopped", elapsedMs: usableMs, nowMs: usableMs },
    { what: "the machine slept, and its monotonic clock with it", elapsedMs: 0, nowMs: usableMs },
    { what: "the clock was set back", elapsedMs: usableMs, nowMs: -1_000 },
    { what: "what is left is less than clocks show", elapsedMs: usableMs - 1, nowMs: 0 },
  ])("is not used any more when $what", async ({ elapsedMs, nowMs }) => {
    const { times, counter } = counting();
    await counter.prepare("a", 0);
    expect(counter.look("a", 0).remaining).toBeGreaterThan(0);
    times.elapsedMs += elapsedMs;
    times.nowAt += nowMs;
    // Looked at before it is asked for again: what was prepared before the stop decides nothing.
    expect(counter.look("a", times.elapsedMs).remaining).toBe(0);
    expect(counter.prepare("a", times.elapsedMs)).toBeInstanceOf(Promise);
  });

  test.each([{ usedMs: usableMs }, { usedMs: usableMs - 1 }])(
    "takes along nothing that is spent $usedMs ms later, without being looked at: it is owed",
    async ({ usedMs }) => {
      const { times, asked, counter } = counting();
      await counter.prepare("a", 0);
      times.elapsedMs = usedMs;
      for (let n = 0; n < 3; n++) counter.take("a", times.elapsedMs);
      await counter.prepare("a", times.elapsedMs);
      expect(asked).toEqual([1, 1 + 3]);
    },
  );

  test("owes what is spent by a subject that it has nothing of any more", async () => {
    const { asked, counter } = counting();
    counter.take("a", 0);
    await counter.prepare("a", 0);
    expect(asked).toEqual([1 + 1]);
  });
});
