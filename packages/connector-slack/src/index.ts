export { slackConnector } from "./connector.ts";
export {
  createSlackWebhook,
  type SlackBlock,
  type SlackMessage,
  type SlackWebhook,
  type SlackWebhookOptions,
} from "./webhook.ts";
