import { rateHorizonUs } from "../job-row.ts";

/** A lane that may hand out jobs, as it was read. */
export interface OpenLane {
  readonly key: string;
  readonly waiting: number;
  /** Jobs that may run beside those that do. */
  readonly free: number;
  /** Microseconds between two starts; 0 for no rate. */
  readonly spacingUs: number;
  readonly nextAtUs: number;
}

/** What a claim may take of one lane. */
export interface LaneShare {
  readonly key: string;
  readonly jobs: number;
  /** Microseconds between two starts; 0 for no rate. */
  readonly spacingUs: number;
  /** The first start that is left. */
  readonly startAtUs: number;
}

/**
 * Shares `jobs` among at most as many lanes: every lane its equal share first; what that leaves goes
 * to the first that have more. In JavaScript, as SQL's window functions take 75 us for the lane that
 * most claims find, and reading it takes 8.
 */
export function shareOut(
  lanes: readonly OpenLane[],
  jobs: number,
  nowUs: number,
): readonly LaneShare[] {
  const equalShare = Math.floor(jobs / lanes.length);
  const fair = lanes.map((lane) => {
    const { key, spacingUs } = lane;
    const startAtUs = Math.max(lane.nextAtUs, nowUs);
    const capacity = Math.min(lane.waiting, lane.free, jobs, startsBy(nowUs, startAtUs, spacingUs));
    return { key, spacingUs, startAtUs, capacity, jobs: Math.min(capacity, equalShare) };
  });
  let spare = fair.reduce((left, share) => left - share.jobs, jobs);
  return fair.map(({ capacity, ...share }) => {
    const more = Math.min(capacity - share.jobs, spare);
    spare -= more;
    return { ...share, jobs: share.jobs + more };
  });
}

/** Starts that a rate allows within its horizon. */
function startsBy(nowUs: number, startAtUs: number, spacingUs: number): number {
  if (spacingUs === 0) return Infinity;
  return Math.max(0, Math.floor((nowUs + rateHorizonUs - 1 - startAtUs) / spacingUs) + 1);
}
