import type { IncomingHttpHeaders } from "node:http";
import type { LoggedRequest } from "../request-log.ts";

/** What is kept of a request that arrived at a webhook, whatever was answered. */
export interface MessageFields {
  /** ISO 8601. */
  readonly receivedAt: string;
  /** `T…/B…` of the webhook; its token is not kept. */
  readonly webhook: string;
  readonly headers: IncomingHttpHeaders;
  /** The message, or the text of the body when that was no message. */
  readonly body: unknown;
  /** Slack's error word, or null. */
  readonly error: string | null;
  /** The fault that the request met, `none` for none. */
  readonly fault: string;
  /** True when a person would see it in the channel. */
  readonly posted: boolean;
}

/** A request that arrived at a webhook, with what was answered. */
export type ReceivedMessage = LoggedRequest & MessageFields;
