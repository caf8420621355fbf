import type { IncomingHttpHeaders } from "node:http";

/** What is kept of a request that asked for a message, whatever was answered. */
export interface SendFields {
  /** ISO 8601. */
  readonly receivedAt: string;
  readonly headers: IncomingHttpHeaders;
  /** The form's parameters. */
  readonly form: Readonly<Record<string, string>>;
  /** Twilio's code of the refusal, or null. */
  readonly errorCode: number | null;
  /** The fault that the request met, `none` for none. */
  readonly fault: string;
  /** The message that was taken, or null. */
  readonly sid: string | null;
}
