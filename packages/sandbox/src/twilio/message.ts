import { randomBytes } from "node:crypto";
import { countSegments } from "./segments.ts";

/** What a message is at the moment; `delivered`, `undelivered` and `failed` are final. */
export type MessageStatus = "queued" | "sent" | "delivered" | "undelivered" | "failed";

/** A message that was taken. */
export interface Message {
  readonly sid: string;
  readonly accountSid: string;
  readonly to: string;
  readonly from: string;
  readonly body: string;
  readonly statusCallback: string | undefined;
  readonly segments: number;
  readonly createdAtMs: number;
  status: MessageStatus;
  errorCode: number | null;
  /** US dollars, negative as Twilio writes them; null until it is sent. */
  price: string | null;
  updatedAtMs: number;
  sentAtMs: number | null;
}

/** A message as it is taken: queued, without a price. */
export function newMessage(
  fields: Pick<Message, "accountSid" | "to" | "from" | "body" | "statusCallback">,
  nowMs: number,
): Message {
  return {
    ...fields,
    sid: `SM${randomBytes(16).toString("hex")}`,
    segments: countSegments(fields.body),
    createdAtMs: nowMs,
    status: "queued",
    errorCode: null,
    price: null,
    updatedAtMs: nowMs,
    sentAtMs: null,
  };
}

/** The message resource as the API answers it (twilio.com/docs/messaging/api/message-resource). */
export function messageJson(message: Message): Readonly<Record<string, unknown>> {
  const { sid, accountSid } = message;
  const uri = `/2010-04-01/Accounts/${accountSid}/Messages/${sid}`;
  return {
    sid,
    date_created: rfc2822(message.createdAtMs),
    date_updated: rfc2822(message.updatedAtMs),
    date_sent: message.sentAtMs === null ? null : rfc2822(message.sentAtMs),
    account_sid: accountSid,
    to: message.to,
    from: message.from,
    messaging_service_sid: null,
    body: message.body,
    status: message.status,
    num_segments: String(message.segments),
    num_media: "0",
    direction: "outbound-api",
    api_version: "2010-04-01",
    price: message.price,
    price_unit: "USD",
    error_code: message.errorCode,
    error_message: null,
    uri: `${uri}.json`,
    subresource_uris: { media: `${uri}/Media.json` },
  };
}

/** What a status callback posts. */
export function callbackForm(
  message: Message,
  status: MessageStatus,
): Readonly<Record<string, string>> {
  const { sid, accountSid, to, from, errorCode } = message;
  const isEnd = status === "undelivered" || status === "failed";
  return {
    SmsSid: sid,
    SmsStatus: status,
    MessageStatus: status,
    To: to,
    MessageSid: sid,
    AccountSid: accountSid,
    From: from,
    ApiVersion: "2010-04-01",
    ...(isEnd && errorCode !== null ? { ErrorCode: String(errorCode) } : {}),
  };
}

function rfc2822(ms: number): string {
  return new Date(ms).toUTCString().replace("GMT", "+0000");
}
