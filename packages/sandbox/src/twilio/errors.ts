import { jsonAnswer, type Answer } from "../exchange.ts";

interface TwilioError {
  readonly status: number;
  readonly message: (about: string) => string;
}

/**
 * Twilio's errors by their codes (twilio.com/docs/api/errors), with the HTTP status and the text
 * that the wire carries; `about` is the number or the path that the text repeats.
 */
const twilioErrors = {
  20003: { status: 401, message: () => "Authenticate" },
  20004: { status: 405, message: () => "Method not allowed" },
  20404: { status: 404, message: (path) => `The requested resource ${path} was not found` },
  20429: { status: 429, message: () => "Too Many Requests" },
  20500: { status: 500, message: () => "An internal server error has occurred" },
  20503: { status: 503, message: () => "Service unavailable" },
  21211: { status: 400, message: (to) => `The 'To' number ${to} is not a valid phone number.` },
  21212: {
    status: 400,
    message: (from) => `The 'From' number ${from} is not a valid phone number`,
  },
  21408: {
    status: 400,
    message: (to) =>
      `Permission to send an SMS has not been enabled for the region indicated by the 'To' number: ${to}`,
  },
  21602: { status: 400, message: () => "Message body is required." },
  21603: { status: 400, message: () => "A 'From' phone number is required." },
  21604: { status: 400, message: () => "A 'To' phone number is required." },
  21606: {
    status: 400,
    message: (from) =>
      `The 'From' phone number provided (${from}) is not a valid message-capable Twilio phone number for this destination.`,
  },
  21608: {
    status: 400,
    message: (to) =>
      `The number ${to} is unverified. Trial accounts cannot send messages to unverified numbers; verify ${to} at twilio.com/user/account/phone-numbers/verified, or purchase a Twilio number to send messages to unverified numbers`,
  },
  21609: { status: 400, message: (url) => `The StatusCallback URL ${url} is not a valid URL.` },
  21610: { status: 400, message: () => "Attempt to send to unsubscribed recipient" },
  21611: {
    status: 429,
    message: (from) =>
      `The 'From' number ${from} has exceeded the maximum number of queued messages`,
  },
  21612: {
    status: 400,
    message: (to) =>
      `The 'To' phone number: ${to}, is not currently reachable using the 'From' phone number`,
  },
  21614: { status: 400, message: (to) => `To number: ${to}, is not a mobile number` },
  21617: {
    status: 400,
    message: () => "The concatenated message body exceeds the 1600 character limit",
  },
} as const satisfies Readonly<Record<number, TwilioError>>;

/** A code of Twilio that answers a request. */
export type TwilioErrorCode = keyof typeof twilioErrors;

/** The codes that a fault may name, as text; those of the wire faults have names of their own. */
export const faultCodes = [
  "20003",
  "21211",
  "21408",
  "21608",
  "21610",
  "21611",
  "21612",
  "21614",
] as const;

/** The code of a fault that names one, or undefined. */
export function errorCodeOf(fault: string): TwilioErrorCode | undefined {
  return Object.keys(twilioErrors).includes(fault) ? (Number(fault) as TwilioErrorCode) : undefined;
}

/** The answer of one error: `code`, `message`, `more_info` and `status`, as Twilio sends it. */
export function errorAnswer(
  code: TwilioErrorCode,
  about = "",
  headers: Readonly<Record<string, string>> = {},
): Answer {
  const { status, message } = twilioErrors[code];
  const more_info = `https://www.twilio.com/docs/errors/${code}`;
  const answer = jsonAnswer(status, { code, message: message(about), more_info, status });
  return { ...answer, headers: { ...answer.headers, ...headers } };
}
