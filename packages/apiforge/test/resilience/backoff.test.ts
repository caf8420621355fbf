import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  backoffDelayMs,
  exponential,
  fixedDelays,
  type ExponentialBackoff,
} from "../../src/resilience/index.ts";

const policies = fc
  .record({
    initialMs: fc.integer({ min: 1, max: 3_600_000 }),
    factor: fc.double({ min: 1, max: 10, noNaN: true }),
    extraMs: fc.integer({ min: 0, max: 864_000_000 }),
  })
  .map(({ initialMs, factor, extraMs }) => ({ initialMs, factor, max: initialMs + extraMs }));

const failureCounts = fc.integer({ min: 1, max: 5_000 });
const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

function capOf(policy: ExponentialBackoff, failures: number): number {
  return backoffDelayMs({ ...policy, jitter: "none" }, failures);
}

describe("exponential backoff", () => {
  test("without jitter waits 2 s, 4 s, 8 s up to its max", () => {
    const policy = exponential("2s", { jitter: "none", max: "10s" });
    const delays = [1, 2, 3, 4, 5].map((failures) => backoffDelayMs(policy, failures));
    expect(delays).toEqual([2_000, 4_000, 8_000, 10_000, 10_000]);
  });

  test("has full jitter, factor 2 and a max of one hour by default", () => {
    expect(exponential("2s")).toEqual({
      kind: "exponential",
      initialMs: 2_000,
      factor: 2,
      maxMs: 3_600_000,
      jitter: "full",
    });
    expect(backoffDelayMs(exponential("2s"), 2, () => 0)).toBe(4_000);
    expect(backoffDelayMs(exponential("2s"), 2, () => 0.5)).toBe(2_000);
  });

  test("with full jitter lies in (0, cap], whatever the policy, the failures and the dice", () => {
    fc.assert(
      fc.property(
        policies,
        failureCounts,
        randoms,
        ({ initialMs, factor, max }, failures, dice) => {
          const policy = exponential(initialMs, { factor, max });
          const delayMs = backoffDelayMs(policy, failures, () => dice);
          expect(Number.isInteger(delayMs)).toBe(true);
          expect(delayMs).toBeGreaterThan(0);
          expect(delayMs).toBeLessThanOrEqual(capOf(policy, failures));
          expect(delayMs).toBeLessThanOrEqual(max);
        },
      ),
    );
  });

  test("spreads full jitter over the whole range", () => {
    const policy = exponential("1s");
    for (let eighth = 0; eighth < 8; eighth++) {
      expect(backoffDelayMs(policy, 1, () => eighth / 8)).toBe(1_000 - eighth * 125);
    }
  });

  test("has a cap that never shrinks as failures add up", () => {
    fc.assert(
      fc.property(policies, failureCounts, ({ initialMs, factor, max }, failures) => {
        const policy = exponential(initialMs, { factor, max });
        expect(capOf(policy, failures + 1)).toBeGreaterThanOrEqual(capOf(policy, failures));
        expect(capOf(policy, 1)).toBe(initialMs);
      }),
    );
  });

  test("survives JSON", () => {
    const policy = exponential("2s");
    expect(JSON.parse(JSON.stringify(policy))).toEqual(policy);
  });

  test.each([
    ["a first delay of 0", () => exponential(0)],
    ["a max below the first delay", () => exponential("2s", { max: "1s" })],
    ["a factor below 1", () => exponential("2s", { factor: 0.5 })],
    ["a factor that is no number", () => exponential("2s", { factor: Number.NaN })],
  ])("refuses %s", (_name, make) => {
    expect(make).toThrow(RangeError);
  });

  test.each([0, -1, 1.5, Number.NaN])("refuses %d failures", (failures) => {
    expect(() => backoffDelayMs(exponential("2s"), failures)).toThrow(RangeError);
  });
});

describe("fixed delays", () => {
  test("are taken in order, and the last one repeats", () => {
    const policy = fixedDelays(["5s", "30s"]);
    expect([1, 2, 3, 9].map((failures) => backoffDelayMs(policy, failures))).toEqual([
      5_000, 30_000, 30_000, 30_000,
    ]);
  });

  test("need at least one delay", () => {
    expect(() => fixedDelays([])).toThrow(RangeError);
    expect(() => backoffDelayMs({ kind: "fixed", delaysMs: [] }, 1)).toThrow(RangeError);
  });
});
