import type { ConnectorInfo } from "apiforge/resilience";

/** Slack, by its incoming webhooks. */
export const slackConnector: ConnectorInfo = {
  name: "slack",
  title: "Slack",
  sdk: "@slack/webhook",
  settings: [
    {
      name: "SLACK_WEBHOOK_URL",
      description: "URL of an incoming webhook, from the app's page Features > Incoming Webhooks",
      secret: true,
    },
  ],
  deduplicates: false,
};
