import { textAnswer, type Answer } from "../exchange.ts";

/**
 * The words that an incoming webhook answers with instead of `ok`, and their statuses. Words:
 * docs.slack.dev/messaging/sending-messages-using-incoming-webhooks, "Handling errors". Statuses
 * of `invalid_payload`, `user_not_found`, `action_prohibited`, `channel_not_found`,
 * `channel_is_archived` and `rollup_error`: Slack's changelog of 2016-05-17, "Improving error
 * conditions for Incoming Webhooks"; Slack documents none for the others, which follow that
 * entry's rule (400 malformed, 403 not allowed, 404 not there).
 */
export const webhookErrors = {
  invalid_payload: 400,
  no_text: 400,
  invalid_blocks: 400,
  too_many_attachments: 400,
  user_not_found: 400,
  action_prohibited: 403,
  invalid_token: 403,
  posting_to_general_channel_denied: 403,
  team_disabled: 403,
  channel_not_found: 404,
  no_service: 404,
  no_team: 404,
  channel_is_archived: 410,
  rollup_error: 500,
} as const;

/** A word that an incoming webhook answers with. */
export type WebhookError = keyof typeof webhookErrors;

/** Every {@link WebhookError}. */
export const webhookErrorWords = Object.keys(webhookErrors) as WebhookError[];

/** The answer for one error word. */
export function webhookErrorAnswer(error: WebhookError): Answer {
  return textAnswer(webhookErrors[error], error);
}

/**
 * Too many messages: `Retry-After` and a small JSON body, as Slack sends it
 * (docs.slack.dev/apis/web-api/rate-limits; the body as reported from the wire).
 */
export function rateLimitedAnswer(retryAfterSeconds: number): Answer {
  const body = JSON.stringify({ retry_after: retryAfterSeconds, ok: false, error: "rate_limited" });
  const headers = {
    "content-type": "application/json; charset=utf-8",
    "retry-after": String(retryAfterSeconds),
  };
  return { status: 429, headers, body };
}
