import { readFields, readInteger } from "../json-fields.ts";
import type { ControlResource } from "../provider.ts";

const windowMs = 1_000;

/** A limit of messages per second, off at first: what is above it is answered with 429. */
export interface RateLimit {
  /** True when the message is one too many; one that is not, counts. */
  exceeds(): boolean;
  /** `GET` shows the limit, `PUT {"perSecond": 1}` sets it, `PUT {}` switches it off. */
  readonly control: ControlResource;
}

/** The limit over any second, measured with `now` in epoch milliseconds. */
export function createRateLimit(now: () => number): RateLimit {
  let perSecond: number | null = null;
  let startedAt: number[] = [];
  return {
    exceeds() {
      if (perSecond === null) return false;
      const nowMs = now();
      startedAt = startedAt.filter((at) => nowMs - at < windowMs);
      if (startedAt.length >= perSecond) return true;
      startedAt.push(nowMs);
      return false;
    },
    control: {
      GET: () => ({ perSecond }),
      PUT(body) {
        const fields = readFields(body, ["perSecond"]);
        perSecond = readInteger(fields, "perSecond", { min: 1, max: 100_000, fallback: null });
        startedAt = [];
        return { perSecond };
      },
    },
  };
}
