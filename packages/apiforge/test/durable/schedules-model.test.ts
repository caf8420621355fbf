import { ManualClock } from "@apiforge/testing";
import type { StoreFixture } from "@apiforge/testing/contracts";
import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { defineJob, defineSchedule, type CatchUp } from "../../src/durable/index.ts";
import { postgres } from "../store/postgres-fixture.ts";
import { sqliteMemory } from "../store/sqlite-fixture.ts";
import { Harness, type Node } from "./harness.ts";

/** What may happen to a deployment. */
type Step =
  | { readonly do: "wait" | "jump" | "set back"; readonly ms: number }
  | { readonly do: "start" | "stop" | "kill" | "pause" | "resume" };

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("wait"), ms: fc.nat(25_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("jump"), ms: fc.nat(900_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("set back"), ms: fc.nat(60_000) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("start", "start", "stop", "kill", "pause", "resume"),
    }),
  },
);
const policies = fc.constantFrom<CatchUp>("none", "latest", { atMost: 3 });

/** Nodes with a clock each, so that time stops for one that is killed. */
class Deployment {
  readonly harness: Harness;
  readonly #make: () => Parameters<Harness["started"]>[0];
  #living: Node[] = [];
  /** The latest instant that the store's time has reached. */
  latestAt: number;

  constructor(harness: Harness, make: () => Parameters<Harness["started"]>[0]) {
    this.harness = harness;
    this.#make = make;
    this.latestAt = this.#now;
  }

  get #now(): number {
    return this.harness.open.clock.now();
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case "wait":
        for (let left = step.ms; left > 0; left -= 1_000) await this.#move(Math.min(left, 1_000));
        return;
      case "jump":
        return this.#move(step.ms);
      case "set back":
        return this.#move(-step.ms);
      case "start":
        return this.start();
      case "stop":
        return this.#end((node) => node.durable.stop(0));
      case "kill":
        return this.#end(async () => {});
      case "pause":
        return this.#living[0]?.durable.schedules.pause("report");
      case "resume":
        return this.#living[0]?.durable.schedules.resume("report");
    }
  }

  async start(): Promise<void> {
    const clock = new ManualClock(this.#now);
    this.#living.push(await this.harness.started({ ...this.#make(), clock }));
  }

  async #end(end: (node: Node) => Promise<void>): Promise<void> {
    const node = this.#living.shift();
    if (node === undefined) return;
    await end(node);
    this.harness.forget(node);
  }

  async #move(ms: number): Promise<void> {
    await this.harness.open.advance(ms);
    this.latestAt = Math.max(this.latestAt, this.#now);
    for (const node of this.#living) node.clock.advance(ms);
    await this.harness.idle();
  }
}

const input = z.object({ fireAt: z.number() });
const cron = "*/10 * * * * *";

function checkSchedules(fixture: StoreFixture, runs: number): Promise<void> {
  return fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 25 }), policies, async (list, catchUp) => {
      await using harness = await Harness.open(fixture);
      const job = defineJob("report", { input, run: async () => {} });
      const schedule = defineSchedule("report", {
        cron,
        job,
        input: ({ fireAt }) => ({ fireAt }),
        catchUp,
        grace: "15s",
      });
      const deployment = new Deployment(harness, () => ({ jobs: [job], schedules: [schedule] }));
      const startAt = harness.open.clock.now();
      await deployment.start();
      for (const step of list) await deployment.take(step);
      // Somebody has to be there to look at what came last, by a clock that is not behind.
      await deployment.start();
      const behindMs = deployment.latestAt - harness.open.clock.now();
      await deployment.take({ do: "wait", ms: behindMs + 1_000 });

      const expected: number[] = [];
      const { times } = schedule;
      for (
        let at = times.after(startAt);
        at !== null && at <= deployment.latestAt;
        at = times.after(at)
      ) {
        expected.push(at);
      }
      const recorded = (await harness.store.schedules.ticks("report", 100_000)).toReversed();
      expect(recorded.map(({ fireAt }) => fireAt)).toEqual(expected);
      const jobs = await harness.store.jobs.list({ limit: 100_000 });
      expect(new Set(jobs.map(({ id, payload }) => `${id} ${payload}`))).toEqual(
        new Set(
          recorded
            .filter(({ outcome }) => outcome === "fired")
            .map(({ jobId, fireAt }) => `${jobId} ${JSON.stringify({ fireAt })}`),
        ),
      );
    }),
    { numRuns: runs },
  );
}

test("every tick of a window is fired or recorded as missed, once, whatever happens: SQLite", async () => {
  await checkSchedules(sqliteMemory, 40);
}, 120_000);

test("every tick of a window is fired or recorded as missed, once, whatever happens: PostgreSQL", async () => {
  await checkSchedules(postgres, 8);
}, 120_000);
