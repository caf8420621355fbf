import { defineEvent } from "apiforge";
import { z } from "zod";

/** A tenant's messages of a month have reached 50, 80 or 100 % of the cap; once for each. */
export const spendAlert = defineEvent(
  "message-spend.alert",
  z.object({
    tenant: z.string(),
    month: z.string(),
    percent: z.union([z.literal(50), z.literal(80), z.literal(100)]),
    committedMicros: z.number(),
    capMicros: z.number(),
  }),
);

/** Twilio took a message and then could not deliver it, for example 30007: filtered by the carrier. */
export const messageUndelivered = defineEvent(
  "message.undelivered",
  z.object({
    tenant: z.string(),
    jobId: z.string(),
    to: z.string(),
    code: z.string(),
    message: z.string(),
  }),
);
