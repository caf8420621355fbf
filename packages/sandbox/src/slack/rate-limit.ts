import { ControlError } from "../control.ts";
import { readFields } from "../json-fields.ts";
import type { ControlResource } from "../provider.ts";

const windowMs = 1_000;
const maxWebhooks = 1_000;

/** Slack's limit of one message per second and webhook, without its short bursts; off at first. */
export interface RateLimit {
  /** True when the message is one too many; one that is not, counts. */
  exceeds(webhook: string): boolean;
  /** `GET` shows the switch, `PUT {"enabled": true}` sets it. */
  readonly control: ControlResource;
}

/** The limit, measured with `now` in epoch milliseconds. */
export function createRateLimit(now: () => number): RateLimit {
  const lastAt = new Map<string, number>();
  let enabled = false;
  return {
    exceeds(webhook) {
      const last = lastAt.get(webhook);
      if (!enabled) return false;
      if (last !== undefined && now() - last < windowMs) return true;
      if (lastAt.size >= maxWebhooks) lastAt.clear();
      lastAt.set(webhook, now());
      return false;
    },
    control: {
      GET: () => ({ enabled }),
      PUT(body) {
        const wanted = readFields(body, ["enabled"])["enabled"];
        if (typeof wanted !== "boolean") throw new ControlError("enabled must be true or false");
        enabled = wanted;
        lastAt.clear();
        return { enabled };
      },
    },
  };
}
