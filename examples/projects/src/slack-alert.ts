import { defineJob, exponential, type JobDefinition } from "apiforge";
import type { SlackWebhook } from "@apiforge/connector-slack";
import { z } from "zod";

/** What a Slack alert is about. */
export const slackAlertInput = z.discriminatedUnion("event", [
  z.object({
    event: z.literal("project.created"),
    actor: z.string(),
    project: z.object({ id: z.string(), name: z.string(), status: z.string() }),
  }),
  z.object({
    event: z.literal("member.added"),
    actor: z.string(),
    project: z.object({ id: z.string(), name: z.string(), status: z.string() }),
    member: z.object({ email: z.string(), role: z.string() }),
  }),
]);
export type SlackAlert = z.infer<typeof slackAlertInput>;

/**
 * The job that tells Slack. Slack has no idempotency keys: an alert whose answer was lost is sent
 * again, so one alert may be seen twice and is never lost.
 */
export function slackAlertJob(slack: SlackWebhook): JobDefinition<typeof slackAlertInput> {
  return defineJob("slack-alert", {
    queue: "notifications",
    input: slackAlertInput,
    attempts: 3,
    backoff: exponential("2s"),
    timeout: "15s",
    run: async ({ input, signal }) => {
      await slack.send(slackMessage(input), { signal });
    },
  });
}

/** The message as Slack's incoming webhooks take it. */
function slackMessage(alert: SlackAlert): Parameters<SlackWebhook["send"]>[0] {
  const { headline, detail } = wording(alert);
  return {
    text: headline,
    blocks: [
      {
        type: "section",
        text: { type: "mrkdwn", text: detail },
        fields: [
          { type: "mrkdwn", text: `*Status:*\n${escapeMrkdwn(alert.project.status)}` },
          { type: "mrkdwn", text: `*Project ID:*\n${alert.project.id}` },
        ],
      },
    ],
  };
}

function wording(alert: SlackAlert): { headline: string; detail: string } {
  const project = escapeMrkdwn(alert.project.name);
  const actor = escapeMrkdwn(alert.actor);
  if (alert.event === "project.created") {
    return { headline: `New project created by ${actor}`, detail: `*${project}* was just created` };
  }
  const { email, role } = alert.member;
  return {
    headline: `New member added by ${actor}`,
    detail: `*${escapeMrkdwn(email)}* joined *${project}* as ${escapeMrkdwn(role)}`,
  };
}

// Slack reads these three as markup (docs.slack.dev, "Formatting message text").
function escapeMrkdwn(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
