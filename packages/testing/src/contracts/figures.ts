import { describe, expect, test } from "vitest";

import type { StoreFixture } from "./fixture.ts";
import { sampleJob, sampleLane } from "./samples.ts";

/** What an operator is told about the store. */
export function figuresContract(fixture: StoreFixture): void {
  describe("figures", () => {
    test("count jobs by queue and state, and tell how long the first has been due", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await store.workers.register("wrk_1");
      await store.transact("jobs", async (tx) => {
        for (const delayMs of [0, 0, 60_000]) tx.insertJob(sampleJob({ delayMs }));
        const lane = sampleLane("key", { concurrency: 1 });
        for (const id of ["job_a", "job_b"]) tx.insertJob(sampleJob({ id, queue: "keyed", lane }));
      });
      await open.advance(5_000);
      await store.jobs.claim("mail", "wrk_1", 1);
      const { queues, consumers } = await store.figures();
      expect(new Set(queues)).toEqual(
        new Set([
          { queue: "mail", state: "scheduled", jobs: 1, oldestMs: 0 },
          { queue: "mail", state: "ready", jobs: 1, oldestMs: expect.any(Number) },
          { queue: "mail", state: "running", jobs: 1, oldestMs: expect.any(Number) },
          { queue: "keyed", state: "waiting", jobs: 2, oldestMs: null },
        ]),
      );
      const ready = queues.find(({ state }) => state === "ready");
      expect(ready?.oldestMs).toBeGreaterThanOrEqual(5_000);
      expect(consumers).toEqual([]);
    });

    test("tell where consumers are, and how many units were committed", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const before = store.work();
      await store.transact("consumer", async (tx) => {
        await tx.lockConsumer("mailer");
        await tx.advanceConsumer("mailer", 7);
      });
      expect((await store.figures()).consumers).toEqual([{ name: "mailer", cursor: 7 }]);
      const after = store.work();
      expect(after.units).toBeGreaterThan(before.units);
      expect(after.commits).toBeGreaterThan(before.commits);
      expect(after.units).toBeGreaterThanOrEqual(after.commits);
    });
  });
}
