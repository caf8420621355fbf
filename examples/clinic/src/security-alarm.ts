import type { SlackWebhook } from "@apiforge/connector-slack";
import type { RaiseAlarm } from "apiforge";

/** Tells the security team in Slack who tried to reach another practice's patient. */
export function alarmInSlack(slack: SlackWebhook): RaiseAlarm {
  return async ({ subject, tenant, resource, requestId }, { signal }) => {
    const text = [
      ":rotating_light: Cross-practice access attempt:",
      `${escapeMrkdwn(subject)} of ${escapeMrkdwn(tenant)}`,
      `asked for ${escapeMrkdwn(resource)} (request ${escapeMrkdwn(requestId)})`,
    ].join(" ");
    await slack.send({ text }, { signal });
  };
}

// Slack reads these three as markup (docs.slack.dev, "Formatting message text").
function escapeMrkdwn(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
