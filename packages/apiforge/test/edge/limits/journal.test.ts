import fc from "fast-check";
import { turns } from "@apiforge/testing";
import { expect, test } from "vitest";

import { aheadOf, LimitJournal } from "../../../src/edge/limits/journal.ts";
import { limitPolicy } from "../../../src/edge/limits/policy.ts";
import { exactRuns, WindowTable } from "../../../src/edge/limits/window-table.ts";
import { silentLog, type Clock } from "../../../src/kernel/index.ts";
import type { LimitLog, LimitLogEntry, LimitMemory } from "../../../src/store/index.ts";

const windowMs = 1_000;

interface Pending {
  readonly write: () => number;
  readonly done: (n: number) => void;
  readonly fail: (error: Error) => void;
}

/** A log whose writes reach the disk when the test says so, in their order. */
class SlowLog implements LimitLog {
  readonly rows: { n: number; entry: LimitLogEntry }[] = [];
  readonly pending: Pending[] = [];
  mark: string | undefined;
  #n = 0;

  async load(): Promise<LimitMemory> {
    return { entries: this.rows.map(({ entry }) => entry), mark: this.mark };
  }

  append(entries: readonly LimitLogEntry[], mark?: string | null): Promise<number> {
    const write = (): number => {
      const first = this.#n + 1;
      for (const entry of entries) this.rows.push({ n: ++this.#n, entry });
      if (mark !== undefined) this.mark = mark ?? undefined;
      return first;
    };
    return new Promise((done, fail) => void this.pending.push({ write, done, fail }));
  }

  async forget(policy: string, n: number): Promise<void> {
    const kept = this.rows.filter(
      (row) => row.n >= n || row.entry.policy !== policy || row.entry.kind === "debt",
    );
    this.rows.splice(0, this.rows.length, ...kept);
  }

  /** The first write that is under way ends. */
  settle(outcome: "saved" | "failed"): void {
    const first = this.pending.shift();
    if (first === undefined) return;
    if (outcome === "saved") first.done(first.write());
    else first.fail(new Error("The disk is full"));
  }

  /** Of the writes that are under way the first `reached` get to the disk, and nobody hears of any. */
  crash(reached: number): void {
    for (const { write } of this.pending.splice(0).slice(0, reached)) write();
  }
}

/** Time as it passes, which processes tell from their own beginning on. */
class World implements Clock {
  realMs = 1_000_000;
  bootAt = 0;
  readonly timers = new Set<{ at: number; callback: () => void }>();
  readonly admitted: { subject: string; at: number }[] = [];

  now = (): number => this.realMs;
  elapsed = (): number => this.realMs - this.bootAt;

  after(delayMs: number, callback: () => void) {
    const timer = { at: this.realMs + delayMs, callback };
    this.timers.add(timer);
    return { cancel: () => void this.timers.delete(timer) };
  }

  advance(ms: number): void {
    this.realMs += ms;
    for (const timer of this.timers) {
      if (timer.at > this.realMs) continue;
      this.timers.delete(timer);
      timer.callback();
    }
  }
}

/** One life of a process that counts one policy. */
class Life {
  readonly world: World;
  readonly table: WindowTable;
  readonly journal: LimitJournal;
  readonly limit: number;
  isAlive = true;

  constructor(world: World, log: SlowLog, memory: LimitMemory, limit: number) {
    world.bootAt = world.realMs;
    world.timers.clear();
    this.world = world;
    this.limit = limit;
    const policy = limitPolicy({ name: "p", limit, per: windowMs }, "address");
    this.table = new WindowTable({ ...policy, ahead: aheadOf(policy) });
    const { elapsed } = world;
    this.journal = new LimitJournal({ log, memory, clock: world, elapsed, logger: silentLog });
    this.journal.keep(policy, this.table);
  }

  request(subject: string): void {
    const { table, world } = this;
    if (table.look(subject, world.elapsed()).remaining < 1) return;
    table.take(subject, world.elapsed());
    const at = world.realMs;
    const admit = (): void => {
      if (this.isAlive) world.admitted.push({ subject, at });
    };
    const wait = this.journal.wait(table, subject);
    if (wait === undefined) admit();
    else wait.then(admit, () => undefined);
  }
}

async function begin(world: World, log: SlowLog, limit: number): Promise<Life> {
  return new Life(world, log, await log.load(), limit);
}

async function stop(life: Life, log: SlowLog): Promise<void> {
  const closing = { isOver: false };
  const closed = life.journal.close().finally(() => {
    closing.isOver = true;
  });
  while (!closing.isOver) {
    log.settle("saved");
    await turns(1);
  }
  await closed;
  life.isAlive = false;
}

type Step =
  | { readonly kind: "request"; readonly subject: string; readonly count: number }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "write"; readonly outcome: "saved" | "failed" }
  | { readonly kind: "crash"; readonly reached: number; readonly downMs: number }
  | { readonly kind: "stop"; readonly downMs: number };

const downMs = fc.constantFrom(0, 1, 300, windowMs, 2 * windowMs);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("request" as const),
      subject: fc.constantFrom("a", "b"),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.constantFrom(0, 1, 100, 400, windowMs - 1, windowMs),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      outcome: fc.constantFrom("saved" as const, "saved" as const, "failed" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("crash" as const), reached: fc.nat(3), downMs }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("stop" as const), downMs }) },
);

function mostInAWindow(world: World): number {
  const most = world.admitted.map(
    ({ subject, at }) =>
      world.admitted.filter(
        (one) => one.subject === subject && one.at >= at && one.at < at + windowMs,
      ).length,
  );
  return Math.max(0, ...most);
}

test.each([1, 3, 20, exactRuns + 40])(
  "a limit of %i is never passed, whatever is written late, fails or is lost by kills and stops",
  async (limit) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async (steps) => {
        const world = new World();
        const log = new SlowLog();
        let life = await begin(world, log, limit);
        for (const each of steps) {
          if (each.kind === "request") {
            const count = limit > 20 ? each.count * 30 : each.count * 2;
            for (let n = 0; n < count; n++) life.request(each.subject);
          } else if (each.kind === "wait") world.advance(each.ms);
          else if (each.kind === "write") log.settle(each.outcome);
          else {
            if (each.kind === "stop") await stop(life, log);
            life.isAlive = false;
            log.crash(each.kind === "crash" ? each.reached : 0);
            world.realMs += each.downMs;
            life = await begin(world, log, limit);
          }
          await turns(2);
        }
        expect(mostInAWindow(world)).toBeLessThanOrEqual(limit);
      }),
      { numRuns: 100 },
    );
  },
  60_000,
);

async function spend(life: Life, log: SlowLog, count: number): Promise<void> {
  for (let n = 0; n < count; n++) life.request("a");
  await turns(2);
  log.settle("saved");
  await turns(2);
}

test("a stop in order forgets nothing and costs nothing", async () => {
  const world = new World();
  const log = new SlowLog();
  let life = await begin(world, log, 20);
  await spend(life, log, 7);
  world.advance(50);
  life.request("a");
  await stop(life, log);
  world.realMs += 100;
  life = await begin(world, log, 20);
  expect(life.table.look("a", world.elapsed())).toEqual({ remaining: 12, resetInMs: 850 });
  expect(life.table.look("b", world.elapsed())).toEqual({ remaining: 20, resetInMs: 0 });
});

test("after a kill what was written counts, and everybody lacks a sixteenth for one window", async () => {
  const world = new World();
  const log = new SlowLog();
  let life = await begin(world, log, 32);
  await spend(life, log, 5);
  // On no disk yet, and admitted.
  life.request("a");
  life.request("a");
  expect(world.admitted).toHaveLength(7);
  life = await begin(world, log, 32);
  expect(life.table.look("a", world.elapsed()).remaining).toBe(32 - 5 - 2);
  expect(life.table.look("b", world.elapsed()).remaining).toBe(32 - 2);
  // The debt is not forgotten by another kill, once anybody was admitted meanwhile.
  await spend(life, log, 1);
  life = await begin(world, log, 32);
  expect(life.table.look("b", world.elapsed()).remaining).toBe(32 - 4);
  world.advance(windowMs);
  expect(life.table.look("a", world.elapsed())).toEqual({ remaining: 32, resetInMs: 0 });
});

test("who is far ahead of the log waits for it, and is refused when it cannot be written", async () => {
  const world = new World();
  const log = new SlowLog();
  const life = await begin(world, log, 64);
  await spend(life, log, 1);
  for (let n = 0; n < 4; n++) {
    life.table.take("a", world.elapsed());
    expect(life.journal.wait(life.table, "a")).toBeUndefined();
  }
  life.table.take("a", world.elapsed());
  const wait = life.journal.wait(life.table, "a");
  await turns(2);
  log.settle("failed");
  await expect(wait).rejects.toThrow("full");
  const again = life.journal.saved();
  await turns(2);
  log.settle("saved");
  await again;
  expect(life.table.owes("a")).toBe(false);
});

test("a long log is written anew, and says the same", async () => {
  const world = new World();
  const log = new SlowLog();
  let life = await begin(world, log, 1_000_000);
  const subject = (n: number): string => `subject-${n}-${"x".repeat(400)}`;
  const settleAll = async (): Promise<void> => {
    for (let n = 0; n < 30; n++) {
      log.settle("saved");
      await turns(1);
    }
  };
  let most = 0;
  for (let round = 0; round < 8; round++) {
    for (let n = 0; n < 3_000; n++) life.request(subject(n));
    await turns(2);
    world.advance(1);
    const saved = life.journal.saved();
    await settleAll();
    await saved;
    most = Math.max(most, log.rows.length);
  }
  expect(log.rows.some(({ entry }) => entry.kind === "snapshot")).toBe(true);
  expect(log.rows.length).toBeLessThan(most);
  const left = life.table.look(subject(7), world.elapsed()).remaining;
  await stop(life, log);
  life = await begin(world, log, 1_000_000);
  expect(life.table.look(subject(7), world.elapsed()).remaining).toBe(left);
});

test("who waits is not told before what a snapshot has taken along is on disk", async () => {
  const world = new World();
  const log = new SlowLog();
  const life = await begin(world, log, 1_000_000);
  const long = "x".repeat(900);
  const round = async (): Promise<void> => {
    for (let n = 0; n < 4_000; n++) life.table.take(`${long}${n}`, world.elapsed());
    const saved = life.journal.saved();
    await turns(2);
    log.settle("saved");
    await saved;
  };
  for (let n = 0; n < 2; n++) await round();
  await turns(2);
  // The log is long now, and the first half of the snapshot is on its way; the second takes this along.
  expect(log.pending).toHaveLength(1);
  life.table.take(`${long}3000`, world.elapsed());
  log.settle("saved");
  await turns(2);
  expect(log.pending).toHaveLength(1);
  let isTold = false;
  const told = life.journal.saved().then(() => void (isTold = true));
  await turns(4);
  expect(isTold).toBe(false);
  for (let n = 0; n < 4; n++) {
    log.settle("saved");
    await turns(2);
  }
  await told;
  expect(isTold).toBe(true);
});
