import { isSignedByTwilio } from "@apiforge/connector-twilio";
import { badRequest, defineRoute, unauthorized, type JobDefinition } from "apiforge";
import { z } from "zod";

import { takeReport } from "./delivery.ts";
import { callbackFor } from "./send-message.ts";
import type { settlePriceInput } from "./settle-price.ts";

/** What is needed to believe a callback. */
export interface CallbackTrust {
  readonly authToken: string;
  /** The URL that Twilio was given, or would be. */
  readonly webhookUrl: () => Promise<string>;
}

/**
 * Takes Twilio's status callbacks. The state of a message moves in the commit of the answer; its
 * price is asked for afterwards, by a job.
 */
export function statusCallbackRoute(
  trust: CallbackTrust,
  settlePrice: JobDefinition<typeof settlePriceInput>,
) {
  return defineRoute({
    method: "POST",
    path: "/webhooks/twilio/status",
    summary: "Status callbacks of Twilio",
    tags: ["webhooks"],
    auth: "none",
    body: "bytes",
    maxBodyBytes: 65_536,
    headers: z.object({ "x-twilio-signature": z.string().optional() }),
    query: z.object({ message: z.string().max(200).optional() }),
    replies: { 200: z.object({ received: z.literal(true) }) },
    handler: async ({ body, headers, query, tx }) => {
      const params = Object.fromEntries(new URLSearchParams(body.toString("utf8")));
      const webhookUrl = await trust.webhookUrl();
      const url = query.message === undefined ? webhookUrl : callbackFor(webhookUrl, query.message);
      const signature = headers["x-twilio-signature"];
      if (!isSignedByTwilio({ url, params, signature }, trust.authToken)) {
        throw unauthorized("invalid_signature", "The X-Twilio-Signature does not fit");
      }
      const { MessageSid: sid, MessageStatus: status, ErrorCode: code } = params;
      if (sid === undefined || status === undefined) {
        throw badRequest("validation_failed", "MessageSid and MessageStatus are required", "body");
      }
      const errorCode = code === undefined || code === "" ? undefined : Number(code);
      const report = { key: query.message, sid, status, errorCode };
      const ended = await takeReport(tx, report, Date.now());
      if (ended !== undefined) await tx.enqueue(settlePrice, { key: ended.key, sid });
      return { status: 200, body: { received: true } };
    },
  });
}
