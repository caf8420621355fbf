import type { System } from "apiforge";

import { bulkMessageBatch } from "./batch.ts";
import { forgetMessagesJob } from "./forget-messages.ts";
import { bulkMessageMigrations } from "./migrations.ts";
import { bulkMessageRoutes } from "./routes.ts";
import type { SendSettings } from "./send-message.ts";
import { settleLeftoversJob } from "./settle-leftovers.ts";
import { settlePriceJob } from "./settle-price.ts";
import { spendAlertConsumer } from "./spend-alerts.ts";
import { statusCallbackRoute, type CallbackTrust } from "./webhook-route.ts";

export {
  readMessagingLimits,
  sandboxDefaults,
  trialDefaults,
  type MessagingLimits,
} from "./settings.ts";

/** What the bulk messages are sent with. */
export interface BulkMessagesOptions extends SendSettings, CallbackTrust {
  readonly messagesPerSecond: number;
  /** Told, beside the event `message-spend.alert`, when a tenant reaches 50, 80 and 100 % of the cap. */
  readonly warn: (text: string) => void;
}

/** The bulk messages system: jobs of up to a million text messages over Twilio, under a spending cap. */
export function bulkMessages(options: BulkMessagesOptions): System {
  const settlePrice = settlePriceJob(options.twilio);
  const forget = forgetMessagesJob();
  const settleLeftovers = settleLeftoversJob(settlePrice);
  const followUps = { settlePrice, settleLeftovers, forget };
  const messages = bulkMessageBatch(options, options.messagesPerSecond, followUps);
  return {
    routes: [...bulkMessageRoutes(messages), statusCallbackRoute(options, settlePrice)],
    batches: [messages],
    jobs: [settlePrice, settleLeftovers, forget],
    consumers: [spendAlertConsumer(options.warn)],
    migrations: bulkMessageMigrations,
  };
}
