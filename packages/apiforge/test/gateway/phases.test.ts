import fc from "fast-check";
import { expect, test } from "vitest";

import { PhaseWatch, type Phase, type Waiting } from "../../src/gateway/phases.ts";
import { ManualClock } from "../edge/edge-harness.ts";

const limits = {
  connect: 1_000,
  head: 1_000,
  body: 1_000,
  client: 1_000,
  arrival: 5_000,
  tunnel: 100,
};

/** What an attempt is to its watch. */
class Waiter implements Waiting {
  readonly phase: Phase = "head";
  readonly sinceAt: number;
  place = 0;
  expired = 0;
  readonly #watch: PhaseWatch;

  constructor(watch: PhaseWatch) {
    this.#watch = watch;
    this.sinceAt = watch.clock.now();
    watch.add(this);
  }

  expire(): void {
    this.expired += 1;
    this.#watch.delete(this);
  }
}

test("whoever still waits when its time is over expires, once, and nobody else does", () => {
  // Each number ends one of those that wait; the others begin one.
  const steps = fc.array(fc.option(fc.nat(50), { freq: 1 }), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (sequence) => {
      const clock = new ManualClock();
      const watch = new PhaseWatch(clock, limits);
      const all: Waiter[] = [];
      const waiting: Waiter[] = [];
      for (const step of sequence) {
        if (step === null) {
          const waiter = new Waiter(watch);
          all.push(waiter);
          waiting.push(waiter);
        } else {
          const [ended] = waiting.splice(step % (waiting.length || 1), 1);
          if (ended !== undefined) watch.delete(ended);
        }
      }
      for (let elapsedMs = 0; elapsedMs < 3_000; elapsedMs += 250) clock.advance(250);
      const left = new Set(waiting);
      expect(all.map(({ expired }) => expired)).toEqual(
        all.map((waiter) => (left.has(waiter) ? 1 : 0)),
      );
    }),
  );
});
