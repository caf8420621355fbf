import { IncomingWebhook, type IncomingWebhookSendArguments } from "@slack/webhook";
import { callProvider, resilienceError, type CallOptions, type Clock } from "apiforge/resilience";
import { slackConnector } from "./connector.ts";
import { slackError } from "./errors.ts";

/** Slack answers with `ok` or one error word. */
const maxBodyBytes = 65_536;

/** A message in Slack's own fields: `text`, `blocks`, `attachments`, `unfurl_links` … */
export type SlackMessage = Omit<IncomingWebhookSendArguments, "fetch" | "timeout" | "retryConfig">;

/** One Block Kit block of a {@link SlackMessage}. */
export type SlackBlock = NonNullable<SlackMessage["blocks"]>[number];

/** Which webhook, and how long to wait for it. */
export interface SlackWebhookOptions {
  /** The webhook's URL. A secret: whoever has it can post. */
  readonly url: string;
  /** Time for one message, from connecting to the end of the answer; default 10 s. */
  readonly timeoutMs?: number;
  /** Default: the machine's clock. */
  readonly clock?: Clock;
}

/** An incoming webhook of Slack, which posts to one channel. */
export interface SlackWebhook {
  /**
   * Posts a message, once: the caller, usually a job, owns the retries. Slack has no idempotency
   * keys, so a message whose outcome stayed unknown may appear twice when it is sent again.
   *
   * @throws {ApiForgeError} to be tried again: `provider_rate_limited` (with what Slack's
   * Retry-After asks for), `provider_error` (5xx), `provider_timeout`, `provider_unreachable` and
   * `provider_call_cancelled`; not to be tried again: `provider_rejected` (other 4xx, with Slack's
   * error word), `provider_answer_invalid` and `provider_request_invalid`.
   */
  send(message: SlackMessage, options?: { readonly signal?: AbortSignal }): Promise<void>;
}

/**
 * A webhook behind the official SDK, over APIForge's transport and without the SDK's own retries.
 * @throws {ApiForgeError} `provider_request_invalid` when the URL is none.
 */
export function createSlackWebhook(options: SlackWebhookOptions): SlackWebhook {
  const { url, timeoutMs = 10_000, clock } = options;
  const call: CallOptions = { provider: slackConnector.title, timeoutMs, maxBodyBytes, clock };
  checkUrl(url);
  return {
    async send(message, { signal } = {}) {
      let answer: Response | undefined;
      // The SDK takes its transport when it is made and hands on neither a signal nor the answer's
      // headers; one per message costs nothing and keeps the two with their call.
      const sdk = new IncomingWebhook(url, {
        retryConfig: { retries: 0 },
        async fetch(target, { method = "POST", headers = {}, body = "" } = {}) {
          answer = await callProvider(
            target,
            { method, headers, body, signal: signal ?? null },
            call,
          );
          return answer;
        },
      });
      try {
        await sdk.send(message);
      } catch (error) {
        throw slackError(error, answer, clock);
      }
    },
  };
}

function checkUrl(url: string): void {
  const protocol = URL.parse(url)?.protocol;
  if (protocol === "https:" || protocol === "http:") return;
  const message = "The Slack webhook URL is not an http or https URL; check SLACK_WEBHOOK_URL";
  throw resilienceError("provider_request_invalid", message);
}
