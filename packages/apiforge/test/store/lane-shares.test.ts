import fc from "fast-check";
import { expect, test } from "vitest";

import { rateHorizonUs, unlimitedConcurrency } from "../../src/store/job-row.ts";
import { shareOut, type OpenLane } from "../../src/store/sqlite/lane-shares.ts";

const nowUs = 1_800_000_000_000_000;

const openLane: fc.Arbitrary<OpenLane> = fc.record({
  key: fc.string(),
  waiting: fc.integer({ min: 1, max: 40 }),
  free: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(unlimitedConcurrency)),
  spacingUs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 * rateHorizonUs })),
  nextAtUs: fc.integer({ min: nowUs - rateHorizonUs, max: nowUs + 2 * rateHorizonUs }),
});
const claim = fc
  .array(openLane, { minLength: 1, maxLength: 8 })
  .chain((lanes) => fc.tuple(fc.constant(lanes), fc.integer({ min: lanes.length, max: 60 })));

function total(shares: readonly { readonly jobs: number }[]): number {
  return shares.reduce((sum, { jobs }) => sum + jobs, 0);
}

/** What a lane would be given if it were alone. */
function alone(lane: OpenLane, jobs: number): number {
  return total(shareOut([lane], jobs, nowUs));
}

test("a lane alone is given what waits, may run, is asked for and starts within the horizon", () => {
  fc.assert(
    fc.property(openLane, fc.integer({ min: 1, max: 60 }), (lane, jobs) => {
      const [share] = shareOut([lane], jobs, nowUs);
      if (share === undefined) throw new Error("There is no share");
      const { spacingUs, startAtUs } = share;
      expect(startAtUs).toBe(Math.max(lane.nextAtUs, nowUs));
      const isWithinHorizon = (index: number): boolean =>
        spacingUs === 0 || startAtUs + index * spacingUs < nowUs + rateHorizonUs;
      const bound = Math.min(lane.waiting, lane.free, jobs);
      expect(share.jobs).toBeLessThanOrEqual(bound);
      expect(share.jobs === 0 || isWithinHorizon(share.jobs - 1)).toBe(true);
      expect(share.jobs === bound || !isWithinHorizon(share.jobs)).toBe(true);
    }),
  );
});

test("lanes share all that is asked for, as long as they have it", () => {
  fc.assert(
    fc.property(claim, ([lanes, jobs]) => {
      const shares = shareOut(lanes, jobs, nowUs);
      expect(shares.map(({ key }) => key)).toEqual(lanes.map(({ key }) => key));
      const all = lanes.reduce((sum, lane) => sum + alone(lane, jobs), 0);
      expect(total(shares)).toBe(Math.min(jobs, all));
    }),
  );
});

test("no lane is left short of its equal share, and what is left goes to the first", () => {
  fc.assert(
    fc.property(claim, ([lanes, jobs]) => {
      const equal = Math.floor(jobs / lanes.length);
      const shares = shareOut(lanes, jobs, nowUs);
      const capacities = lanes.map((lane) => alone(lane, jobs));
      shares.forEach((share, index) => {
        const capacity = capacities[index] ?? 0;
        expect(share.jobs).toBeGreaterThanOrEqual(Math.min(capacity, equal));
        expect(share.jobs).toBeLessThanOrEqual(capacity);
      });
      const short = shares.findIndex(({ jobs: given }, index) => given < (capacities[index] ?? 0));
      const behind = short === -1 ? [] : shares.slice(short + 1);
      for (const share of behind) expect(share.jobs).toBeLessThanOrEqual(equal);
    }),
  );
});
