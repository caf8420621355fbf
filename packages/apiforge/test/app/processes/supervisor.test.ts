import { ManualClock, recordingLog, turns } from "@apiforge/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Ending, Forked } from "../../../src/app/processes/forked.ts";
import { Supervisor } from "../../../src/app/processes/supervisor.ts";

/** A process that does what a test has it do. */
class FakeProcess implements Forked {
  readonly number: number;
  readonly pid: number;
  readonly #serving = Promise.withResolvers<string | undefined>();
  readonly #ended = Promise.withResolvers<Ending>();
  readonly serving = this.#serving.promise;
  readonly ended = this.#ended.promise;
  /** What it was asked for, in order. */
  readonly asked: string[] = [];
  isAlive = true;
  isServing = false;
  onDrain = (): void => undefined;

  constructor(number: number) {
    this.number = number;
    this.pid = 1_000 + number;
  }

  serve(): void {
    this.isServing = true;
    this.#serving.resolve("http://here");
  }

  die(ending: Partial<Ending> = {}): void {
    this.isAlive = false;
    this.isServing = false;
    this.#serving.resolve(undefined);
    this.#ended.resolve({ code: null, signal: null, ...ending });
  }

  end(order: string): void {
    this.asked.push(order);
    if (order === "drain") this.onDrain();
  }

  kill(signal: NodeJS.Signals): void {
    this.asked.push(signal);
    this.die({ signal });
  }

  measure(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}

function setUp(count: number) {
  const clock = new ManualClock();
  const log = recordingLog();
  const all: FakeProcess[] = [];
  /** For each process that was to drain: how many others served that were not. */
  const othersAtDrain: number[] = [];
  const others = (forked: FakeProcess): FakeProcess[] =>
    all.filter((other) => other !== forked && other.isServing && !other.asked.includes("drain"));
  const supervisor = new Supervisor({
    count,
    clock,
    log,
    random: () => 0,
    fork(number) {
      const forked = new FakeProcess(number);
      forked.onDrain = () => void othersAtDrain.push(others(forked).length);
      all.push(forked);
      return forked;
    },
  });
  const alive = (): FakeProcess[] => all.filter(({ isAlive }) => isAlive);
  /** The process of this number. */
  const at = (number: number): FakeProcess => {
    const found = all[number - 1];
    if (found === undefined) throw new Error(`There is no process ${number}`);
    return found;
  };
  const said = (): string[] => log.entries.map(({ message }) => message);
  return { supervisor, clock, all, alive, at, said, othersAtDrain };
}

/** With its processes 1 to `count` serving. */
async function serving(count: number) {
  const made = setUp(count);
  const started = made.supervisor.start();
  for (let number = 1; number <= count; number += 1) {
    if (number <= 2) await turns(2);
    made.at(number).serve();
  }
  await started;
  return made;
}

describe("a start", () => {
  test("begins with one process, which applies migrations, and goes on with the others", async () => {
    const { supervisor, all, at } = setUp(3);
    const started = supervisor.start();
    await turns(2);
    expect(all.length).toBe(1);
    at(1).serve();
    await turns(2);
    expect(all.length).toBe(3);
    at(2).serve();
    at(3).serve();
    expect(await started).toEqual({ url: "http://here" });
  });

  test("whose first process ends before it serves is none", async () => {
    const { supervisor, at, all } = setUp(2);
    const started = supervisor.start();
    at(1).die({ code: 3 });
    expect(await started).toEqual({ ending: { code: 3, signal: null } });
    expect(all.length).toBe(1);
  });

  test("goes on where a later one ends, which is tried again", async () => {
    const { supervisor, at, all, clock } = setUp(2);
    const started = supervisor.start();
    at(1).serve();
    await turns(2);
    at(2).die({ code: 1 });
    expect(await started).toEqual({ url: "http://here" });
    clock.advance(250);
    expect(all.length).toBe(3);
  });

  test("does not wait for ever for a process that neither serves nor ends", async () => {
    const { supervisor, at, clock } = setUp(1);
    const started = supervisor.start();
    clock.advance(120_000);
    expect(await started).toEqual({ ending: { code: null, signal: "SIGKILL" } });
    expect(at(1).asked).toEqual(["SIGKILL"]);
  });
});

describe("a process that ends by itself", () => {
  test("is replaced after a while that grows, and it is said when that goes on", async () => {
    const { clock, all, at, said } = await serving(1);
    const delaysMs: number[] = [];
    for (let number = 1; number <= 9; number += 1) {
      at(number).die({ signal: "SIGSEGV" });
      await turns(2);
      const before = all.length;
      let delayMs = 0;
      for (; all.length === before; delayMs += 250) clock.advance(250);
      delaysMs.push(delayMs);
      at(number + 1).serve();
      await turns(2);
    }
    // random() is 0: each wait is as long as it may be.
    expect(delaysMs).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    expect(said().filter((text) => text.startsWith("processes end again"))).toHaveLength(5);
  });

  test("after it served for a minute is replaced as at first", async () => {
    const { clock, all, at } = await serving(1);
    at(1).die();
    await turns(2);
    clock.advance(250);
    at(2).serve();
    await turns(2);
    clock.advance(60_000);
    at(2).die();
    await turns(2);
    clock.advance(250);
    expect(all.length).toBe(3);
  });
});

describe("a restart", () => {
  test("replaces one after the other, each when the new one serves", async () => {
    const { supervisor, at, all, said } = await serving(2);
    supervisor.restart();
    expect(all.length).toBe(3);
    expect(at(1).asked).toEqual([]);
    at(3).serve();
    await turns(2);
    expect([at(1).asked, at(2).asked]).toEqual([["drain"], []]);
    expect(all.length).toBe(3);
    at(1).die({ code: 0 });
    await turns(2);
    expect(all.length).toBe(4);
    at(4).serve();
    await turns(2);
    at(2).die({ code: 0 });
    await turns(2);
    expect(said().at(-1)).toBe("all processes are replaced");
    expect(supervisor.serving).toEqual([at(3), at(4)]);
  });

  test("ends with a new process that does not come up, and those that serve go on", async () => {
    const { supervisor, at, all, said, clock } = await serving(2);
    supervisor.restart();
    at(3).die({ code: 1 });
    await turns(2);
    clock.advance(600_000);
    expect([at(1).asked, at(2).asked, all.length]).toEqual([[], [], 3]);
    expect(said().at(-1)).toBe("a new process did not come up; those that serve go on");
    const failed = supervisor.metrics().find(({ name }) => name.includes("rolling"));
    expect(failed?.samples).toEqual([
      { labels: { outcome: "done" }, value: 0 },
      { labels: { outcome: "failed" }, value: 1 },
    ]);
  });

  test("that is asked for during one begins when that is over", async () => {
    const { supervisor, at, all } = await serving(1);
    supervisor.restart();
    supervisor.restart();
    supervisor.restart();
    at(2).serve();
    await turns(2);
    at(1).die({ code: 0 });
    await turns(4);
    expect(all.length).toBe(3);
    at(3).serve();
    await turns(2);
    at(2).die({ code: 0 });
    await turns(4);
    expect(all.length).toBe(3);
  });

  test("kills what does not drain in two minutes", async () => {
    const { supervisor, at, clock, said } = await serving(1);
    supervisor.restart();
    at(2).serve();
    await turns(2);
    clock.advance(120_000);
    await turns(2);
    expect(at(1).asked).toEqual(["drain", "SIGKILL"]);
    expect(said()).toContain("the process did not drain in order");
  });
});

describe("a stop", () => {
  test("ends all in order, and starts none any more", async () => {
    const { supervisor, at, all, clock } = await serving(2);
    const stopped = supervisor.stop();
    expect([at(1).asked, at(2).asked]).toEqual([["stop"], ["stop"]]);
    at(1).die({ code: 0 });
    at(2).die({ code: 0 });
    expect(await stopped).toBe(true);
    clock.advance(600_000);
    expect(all.length).toBe(2);
  });

  test("kills what has not ended in 30 s, and says so", async () => {
    const { supervisor, at, clock } = await serving(2);
    const stopped = supervisor.stop();
    at(1).die({ code: 0 });
    clock.advance(30_000);
    expect(await stopped).toBe(false);
    expect(at(2).asked).toEqual(["stop", "SIGKILL"]);
  });

  test("during a restart ends the old, the new and the draining", async () => {
    const { supervisor, at, all } = await serving(2);
    supervisor.restart();
    at(3).serve();
    await turns(2);
    const stopped = supervisor.stop();
    expect([at(1).asked, at(2).asked, at(3).asked]).toEqual([
      ["drain", "stop"],
      ["stop"],
      ["stop"],
    ]);
    for (const number of [1, 2, 3]) at(number).die({ code: 0 });
    expect(await stopped).toBe(true);
    await turns(4);
    expect(all.length).toBe(3);
  });
});

type Step =
  | { readonly kind: "serve" | "die" | "restart" }
  | { readonly kind: "pass"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: "serve" } as const) },
  { weight: 2, arbitrary: fc.constant({ kind: "die" } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" } as const) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(130_000) }) },
);

test("whatever happens: never more than one process too many, none drains before another one serves in its place, and in the end all are there", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.tuple(step, fc.nat()), { maxLength: 40 }),
      async (count, steps) => {
        const { supervisor, clock, alive, othersAtDrain } = await serving(count);
        const settle = async (): Promise<void> => {
          await turns(4);
          expect(alive().length).toBeLessThanOrEqual(count + 1);
        };
        for (const [{ kind, ...rest }, pick] of steps) {
          const starting = alive().filter(({ isServing }) => !isServing);
          if (kind === "serve") starting[pick % starting.length]?.serve();
          else if (kind === "die") alive()[pick % alive().length]?.die({ code: 1 });
          else if (kind === "restart") supervisor.restart();
          else if ("ms" in rest) clock.advance(rest.ms);
          await settle();
        }
        // From here on all goes well.
        for (let round = 0; round < 12; round += 1) {
          for (const forked of alive()) {
            if (forked.asked.includes("drain")) forked.die({ code: 0 });
            else if (!forked.isServing) forked.serve();
          }
          await settle();
          clock.advance(30_000);
          await settle();
        }
        for (const forked of alive()) if (forked.asked.includes("drain")) forked.die({ code: 0 });
        await settle();
        expect(supervisor.serving.length).toBe(count);
        expect(othersAtDrain.every((others) => others >= 1)).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});
