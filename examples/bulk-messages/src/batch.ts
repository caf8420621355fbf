import { defineBatch, exponential, type JobDefinition } from "apiforge";

import type { forgetInput } from "./forget-messages.ts";
import { bulkMessage } from "./schema.ts";
import { sendMessage, type SendSettings } from "./send-message.ts";
import type { leftoversInput } from "./settle-leftovers.ts";
import type { settlePriceInput } from "./settle-price.ts";

/** How long a job and its messages are kept after its end. */
const retention = "7d";
/** When callbacks that are still missing are not waited for any longer. */
const leftoversDelay = "10m";

/** The jobs that follow a message or a batch of them. */
export interface FollowUps {
  readonly settlePrice: JobDefinition<typeof settlePriceInput>;
  readonly settleLeftovers: JobDefinition<typeof leftoversInput>;
  readonly forget: JobDefinition<typeof forgetInput>;
}

/**
 * The batches of bulk messages. Twilio takes `messagesPerSecond` of one sender, so all jobs of all
 * tenants and nodes share that rate.
 */
export function bulkMessageBatch(
  settings: SendSettings,
  messagesPerSecond: number,
  { settlePrice, settleLeftovers, forget }: FollowUps,
) {
  return defineBatch("bulk-messages", {
    item: bulkMessage,
    attempts: 5,
    backoff: exponential("2s", { max: "5m" }),
    timeout: "30s",
    retention,
    rate: { limit: messagesPerSecond, per: "1s", key: () => "twilio" },
    run: (context) => {
      const { item, tenant, batchId, idempotencyKey: key, signal, commit } = context;
      return sendMessage(settings, settlePrice, { ...item, key, tenant, batchId, signal, commit });
    },
    onComplete: async (tx, batch) => {
      const { id: batchId } = batch;
      await tx.enqueue(settleLeftovers, { batchId, after: "" }, { delay: leftoversDelay });
      await tx.enqueue(forget, { batchId }, { delay: retention });
    },
  });
}
