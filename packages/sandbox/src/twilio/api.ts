import { jsonAnswer, type Answer, type ReceivedRequest } from "../exchange.ts";
import { errorAnswer, type TwilioErrorCode } from "./errors.ts";
import { messageJson, newMessage, type Message } from "./message.ts";
import type { MessageTable } from "./message-table.ts";
import { recipientError, senderError } from "./numbers.ts";

// twilio.com/docs/api/errors/21617.
const maxBodyChars = 1_600;

/** The one account of the sandbox; its numbers are no secret. */
export const sandboxAccount = { sid: `AC${"0".repeat(32)}`, authToken: "0".repeat(32) } as const;

/** What a request asks for. */
export type Operation =
  | { readonly kind: "create" }
  | { readonly kind: "list" }
  | { readonly kind: "fetch"; readonly sid: string }
  | { readonly kind: "refused"; readonly code: TwilioErrorCode };

/** The operation of `/2010-04-01/Accounts/{AccountSid}/Messages[/{Sid}].json`. */
export function operationOf({ method, path }: ReceivedRequest): Operation {
  const [, version, accounts, account, ...rest] = path.split("/");
  if (version !== "2010-04-01" || accounts !== "Accounts" || account !== sandboxAccount.sid) {
    return { kind: "refused", code: 20404 };
  }
  const resource = rest.join("/");
  if (resource === "Messages.json") {
    if (method === "POST") return { kind: "create" };
    return method === "GET" ? { kind: "list" } : { kind: "refused", code: 20004 };
  }
  const sid = /^Messages\/((?:SM|MM)[0-9a-f]{32})\.json$/.exec(resource)?.[1];
  if (sid === undefined) return { kind: "refused", code: 20404 };
  return method === "GET" ? { kind: "fetch", sid } : { kind: "refused", code: 20004 };
}

/** True for the account's SID and auth token as basic credentials (RFC 7617). */
export function isAuthentic(request: ReceivedRequest): boolean {
  const encoded = /^basic +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";
  const expected = `${sandboxAccount.sid}:${sandboxAccount.authToken}`;
  return Buffer.from(encoded, "base64").toString() === expected;
}

/** The parameters of a form body; none for another content type. */
export function formOf(request: ReceivedRequest): Readonly<Record<string, string>> {
  const type = request.headers["content-type"] ?? "";
  if (!type.startsWith("application/x-www-form-urlencoded")) return {};
  return Object.fromEntries(new URLSearchParams(request.body));
}

/** What is wrong with a message, with what the error's text is about. */
export function messageError(
  form: Readonly<Record<string, string>>,
): { code: TwilioErrorCode; about: string } | undefined {
  const { To: to = "", From: from = "", Body: body = "", StatusCallback: callback } = form;
  if (to === "") return { code: 21604, about: "" };
  if (from === "") return { code: 21603, about: "" };
  if (body === "") return { code: 21602, about: "" };
  if (body.length > maxBodyChars) return { code: 21617, about: "" };
  const sender = senderError(from);
  if (sender !== undefined) return { code: sender, about: from };
  const recipient = to === from ? 21211 : recipientError(to);
  if (recipient !== undefined) return { code: recipient, about: to };
  const isUrl = callback === undefined || /^https?:$/.test(URL.parse(callback)?.protocol ?? "");
  return isUrl ? undefined : { code: 21609, about: callback };
}

/** The message that a form without an error asks for. */
export function messageOf(form: Readonly<Record<string, string>>, nowMs: number): Message {
  const { To: to = "", From: from = "", Body: body = "", StatusCallback: statusCallback } = form;
  return newMessage({ accountSid: sandboxAccount.sid, to, from, body, statusCallback }, nowMs);
}

/** A page of messages, newest first, by `To`, `From` and `PageSize`. */
export function listAnswer(request: ReceivedRequest, table: MessageTable): Answer {
  const query = new URLSearchParams(request.query);
  const pageSize = Math.min(Math.max(1, Number(query.get("PageSize") ?? 50) || 50), 1_000);
  const messages = table.list({ to: query.get("To"), from: query.get("From"), limit: pageSize });
  const first = `${request.path}?PageSize=${pageSize}&Page=0`;
  return jsonAnswer(200, {
    messages: messages.map(messageJson),
    page: 0,
    page_size: pageSize,
    start: 0,
    end: Math.max(0, messages.length - 1),
    uri: first,
    first_page_uri: first,
    next_page_uri: null,
    previous_page_uri: null,
  });
}

/** One message. */
export function fetchAnswer(path: string, sid: string, table: MessageTable): Answer {
  const message = table.find(sid);
  return message === undefined ? errorAnswer(20404, path) : jsonAnswer(200, messageJson(message));
}
