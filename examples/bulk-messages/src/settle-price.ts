import type { TwilioMessaging } from "@apiforge/connector-twilio";
import { defineJob, exponential, retryAfter, type JobDefinition } from "apiforge";
import { z } from "zod";

import { isFinalStatus, takeReport } from "./delivery.ts";
import { settleSend } from "./sends-table.ts";

/** A message whose price is to be asked for. */
export const settlePriceInput = z.object({ key: z.string(), sid: z.string() });

const attempts = 12;

/**
 * The job that asks Twilio what a message cost, because no callback says so, and settles it. Twilio
 * knows the price some time after the end; one that it never tells counts as what was reserved.
 */
export function settlePriceJob(twilio: TwilioMessaging): JobDefinition<typeof settlePriceInput> {
  return defineJob("settle-message-price", {
    queue: "message-prices",
    input: settlePriceInput,
    attempts,
    backoff: exponential("2s", { max: "1h" }),
    timeout: "15s",
    run: async (job) => {
      const { key, sid } = job.input;
      const { attempt, signal } = job;
      const message = await twilio.fetchMessage(sid, { signal });
      const isPriced = message.price !== undefined || message.status === "failed";
      if (!(isFinalStatus(message.status) && isPriced) && attempt < attempts) {
        throw retryAfter("1s", "Twilio does not know the price of this message yet");
      }
      await job.complete(async (tx) => {
        const { status, errorCode } = message;
        await takeReport(tx, { key, sid, status, errorCode }, Date.now());
        // What failed before it was sent is not charged.
        const free = message.status === "failed" ? 0 : undefined;
        await settleSend(tx, key, message.price?.micros ?? free);
      });
    },
  });
}
