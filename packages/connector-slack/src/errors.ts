import { IncomingWebhookHTTPError, IncomingWebhookRequestError } from "@slack/webhook";
import { answerError, ApiForgeError, resilienceError, type Clock } from "apiforge/resilience";
import { slackConnector } from "./connector.ts";

const newWebhook = "create a new webhook in Slack and set its URL";

/** What to do about Slack's error words (docs.slack.dev, "Sending messages using incoming webhooks"). */
const advice = new Map([
  ["invalid_payload", "check the message against Slack's fields"],
  ["invalid_blocks", "check the blocks in Slack's Block Kit Builder"],
  ["no_text", "give the message a text or blocks"],
  ["too_many_attachments", "send at most 100 attachments"],
  ["user_not_found", "the user that is addressed does not exist"],
  ["channel_not_found", `the channel was removed; ${newWebhook}`],
  ["channel_is_archived", `the channel was archived; bring it back or ${newWebhook}`],
  ["action_prohibited", "an administrator of the workspace must allow the webhook to post"],
  [
    "posting_to_general_channel_denied",
    "an administrator keeps #general closed; use another channel",
  ],
  ["invalid_token", `the URL is wrong; ${newWebhook}`],
  ["no_service", `the webhook was removed or switched off; ${newWebhook}`],
  ["no_team", `the workspace was removed; ${newWebhook}`],
  ["team_disabled", "the workspace is switched off"],
]);

/**
 * The {@link ApiForgeError} for what the SDK threw: the transport's own error as it is, or one made
 * of Slack's answer. Nothing of the webhook's URL is in it, as the URL is the webhook's only secret.
 */
export function slackError(
  error: unknown,
  answer: Response | undefined,
  clock?: Clock,
): ApiForgeError {
  if (error instanceof IncomingWebhookRequestError && ApiForgeError.is(error.original)) {
    return error.original;
  }
  if (error instanceof IncomingWebhookHTTPError && answer !== undefined) {
    return answerError(answer, slackConnector.title, { reason: reasonOf(error.body), clock });
  }
  // Nothing was sent: a cycle or a BigInt, for example.
  const message = "The Slack message cannot be written as JSON";
  return resilienceError("provider_request_invalid", message, { cause: error });
}

/** Slack's error word and what to do about it; other text, which may say anything, is left out. */
function reasonOf(body: string): string | undefined {
  const word = body.trim();
  if (!/^[a-z]+(_[a-z]+)+$/.test(word) || word.length > 64) return undefined;
  const hint = advice.get(word);
  return hint === undefined ? word : `${word}: ${hint}`;
}
