import { defineJob, exponential, type JobDefinition } from "apiforge";
import type { SlackWebhook } from "@apiforge/connector-slack";
import { z } from "zod";

/** An attempt that the security team hears of. */
export const securityAlarmInput = z.object({
  subject: z.string(),
  practiceId: z.string(),
  patientId: z.string(),
  requestId: z.string(),
});

/** The job that tells the security team. It goes on for half a day before it gives up. */
export function securityAlarmJob(slack: SlackWebhook): JobDefinition<typeof securityAlarmInput> {
  return defineJob("clinic-security-alarm", {
    queue: "security",
    input: securityAlarmInput,
    attempts: 20,
    backoff: exponential("2s", { max: "1h" }),
    timeout: "15s",
    run: async ({ input, signal }) => {
      const { subject, practiceId, patientId, requestId } = input;
      const text = [
        ":rotating_light: Cross-practice access attempt:",
        `${escapeMrkdwn(subject)} of ${escapeMrkdwn(practiceId)}`,
        `asked for ${escapeMrkdwn(patientId)} (request ${escapeMrkdwn(requestId)})`,
      ].join(" ");
      await slack.send({ text }, { signal });
    },
  });
}

// Slack reads these three as markup (docs.slack.dev, "Formatting message text").
function escapeMrkdwn(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
