import type { TwilioErrorCode } from "./errors.ts";

/** How a message ends that Twilio took. */
export interface Ending {
  readonly status: "delivered" | "undelivered" | "failed";
  readonly errorCode: number | null;
}

const delivered: Ending = { status: "delivered", errorCode: null };
export const carrierFiltered: Ending = { status: "undelivered", errorCode: 30007 };

// twilio.com/docs/iam/test-credentials, "Parameters for test SMS messages".
const refusedRecipients: ReadonlyMap<string, TwilioErrorCode> = new Map([
  ["+15005550001", 21211],
  ["+15005550002", 21612],
  ["+15005550003", 21408],
  ["+15005550004", 21610],
  ["+15005550009", 21614],
  // Twilio has no magic number for an unverified one; this is the sandbox's own.
  ["+15005550608", 21608],
]);

// Real Twilio delivers nothing with test credentials; these are the sandbox's own.
const endings: ReadonlyMap<string, Ending> = new Map([
  ["+15005550303", { status: "undelivered", errorCode: 30003 }],
  ["+15005550307", carrierFiltered],
]);

const refusedSenders: ReadonlyMap<string, TwilioErrorCode> = new Map([
  ["+15005550001", 21212],
  ["+15005550007", 21606],
  ["+15005550008", 21611],
]);

/** The error of a recipient: one of the magic numbers, or a number that is not E.164. */
export function recipientError(to: string): TwilioErrorCode | undefined {
  return isE164(to) ? refusedRecipients.get(to) : 21211;
}

/** The error of a sender: one of the magic numbers, or text that cannot be a sender. */
export function senderError(from: string): TwilioErrorCode | undefined {
  const known =
    isE164(from) || /^\d{5,6}$/.test(from) || /^(?=.*[A-Za-z])[\w &+-]{1,11}$/.test(from);
  return known ? refusedSenders.get(from) : 21212;
}

/** How a message to this number ends. */
export function endingOf(to: string): Ending {
  return endings.get(to) ?? delivered;
}

function isE164(text: string): boolean {
  return /^\+[1-9]\d{6,14}$/.test(text);
}
