import { ManualClock, turns } from "@apiforge/testing";
import fc from "fast-check";
import { expect, test } from "vitest";

import type { Forked } from "../../../src/app/processes/forked.ts";
import { gatherMetrics } from "../../../src/app/processes/gather-metrics.ts";
import { linesOf } from "../../../src/app/processes/lines.ts";
import { mergeMetrics } from "../../../src/app/processes/merge-metrics.ts";
import { RevisionNumbers } from "../../../src/app/processes/revision-numbers.ts";
import type { Metric } from "../../../src/kernel/index.ts";

function counter(name: string, value: number): Metric {
  return { name, help: "Help.", type: "counter", samples: [{ labels: { a: "b" }, value }] };
}

const shared: Metric = {
  name: "of_the_store",
  help: "Help.",
  type: "gauge",
  isShared: true,
  samples: [{ value: 7 }],
};

test("each sample says whose it is, and what is of the store is told once", () => {
  const merged = mergeMetrics([
    { process: 3, metrics: [counter("one", 1), shared] },
    { process: 5, metrics: [shared, counter("one", 2), counter("two", Infinity)] },
  ]);
  expect(merged).toEqual([
    {
      ...counter("one", 0),
      samples: [
        { labels: { a: "b", process: "3" }, value: 1 },
        { labels: { a: "b", process: "5" }, value: 2 },
      ],
    },
    shared,
    { ...counter("two", 0), samples: [{ labels: { a: "b", process: "5" }, value: Infinity }] },
  ]);
});

test("no sample of a process is lost or told twice, and each name stands once", () => {
  const metrics = fc.array(
    fc.record({ name: fc.constantFrom("a", "b", "c"), value: fc.integer() }),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(fc.array(metrics, { maxLength: 4 }), (all) => {
      const merged = mergeMetrics(
        all.map((each, index) => ({
          process: index + 1,
          metrics: each.map(({ name, value }) => counter(name, value)),
        })),
      );
      const names = merged.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
      const told = merged.flatMap(({ name, samples }) =>
        samples.map(({ value, labels }) => `${name} ${value} ${labels?.["process"]}`),
      );
      const given = all.flatMap((each, index) =>
        each.map(({ name, value }) => `${name} ${value} ${index + 1}`),
      );
      expect(told.toSorted()).toEqual(given.toSorted());
    }),
  );
});

function answering(number: number, metrics: Promise<readonly Metric[] | undefined>): Forked {
  const { promise: never } = Promise.withResolvers<never>();
  const nothing = (): void => undefined;
  const measure = () => metrics;
  return { number, pid: 1, serving: never, ended: never, end: nothing, kill: nothing, measure };
}

test("a process that stands still or ends is left out of a scrape", async () => {
  const clock = new ManualClock();
  const gathered = gatherMetrics(
    [
      answering(1, Promise.resolve([counter("one", 1)])),
      answering(2, Promise.withResolvers<undefined>().promise),
      answering(3, Promise.resolve(undefined)),
    ],
    clock,
  );
  await turns(2);
  clock.advance(2_000);
  expect((await gathered).flatMap(({ samples }) => samples)).toEqual([
    { labels: { a: "b", process: "1" }, value: 1 },
  ]);
});

test("lines are cut into pieces of whole lines that a pipe takes at once", () => {
  const line = fc.string().map((text) => `${text.replaceAll(/[\n\r\u2028\u2029]/g, "")}\n`);
  fc.assert(
    fc.property(fc.array(line), fc.integer({ min: 1, max: 40 }), (lines, maxBytes) => {
      const pieces = [...linesOf(lines.join(""), maxBytes)];
      expect(pieces.join("")).toBe(lines.join(""));
      for (const piece of pieces) {
        expect(piece.endsWith("\n")).toBe(true);
        const isOneLine = piece.indexOf("\n") === piece.length - 1;
        expect(isOneLine || Buffer.byteLength(piece) <= maxBytes).toBe(true);
      }
    }),
  );
});

test("equal contents have one number, whoever asks when, and new ones the next", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("a", "b", "c", "d")), (digests) => {
      const numbers = new RevisionNumbers();
      const told = digests.map((digest) => numbers.of(digest));
      const distinct = [...new Set(digests)];
      expect(told).toEqual(digests.map((digest) => distinct.indexOf(digest) + 1));
    }),
  );
});
