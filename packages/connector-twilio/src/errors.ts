import { answerError, ApiForgeError, resilienceError, type Clock } from "apiforge/resilience";
import { twilioConnector } from "./connector.ts";

const refused = { type: "provider_error", status: 502, retryable: false } as const;

/** What Twilio's refusals of one message mean; everything else has the codes of any provider. */
export const twilioErrors = {
  /** 20003 and other 401: account SID and auth token do not belong together. */
  twilio_unauthorized: { type: "provider_error", status: 502, retryable: false },
  /** 21211, 21614 and others: nobody can be reached under this number. */
  twilio_invalid_number: refused,
  /** 21608: a trial account sends to verified numbers only. */
  twilio_unverified_number: refused,
  /** 21610: the recipient answered STOP. */
  twilio_opted_out: refused,
  /** 21408 and 21612: this sender does not reach that region or number. */
  twilio_unreachable_number: refused,
  /** 30007, by status callback: the carrier took it for spam. */
  twilio_carrier_filtered: refused,
  /** Any other end of a message that Twilio took and did not deliver. */
  twilio_undelivered: refused,
} as const;

/** A code of {@link twilioErrors}. */
export type TwilioErrorCode = keyof typeof twilioErrors;

interface Meaning {
  readonly code: TwilioErrorCode;
  readonly advice: string;
}

const invalid = (advice: string): Meaning => ({ code: "twilio_invalid_number", advice });

/** Twilio's own numbers (twilio.com/docs/api/errors) of what concerns one message. */
const meanings: ReadonlyMap<number, Meaning> = new Map([
  [
    20003,
    { code: "twilio_unauthorized", advice: "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN" },
  ],
  [21211, invalid("the number is not valid; write it in E.164, such as +14155550100")],
  [21217, invalid("the number does not look valid; write it in E.164, such as +14155550100")],
  [21265, invalid("a short code cannot receive messages")],
  [21266, invalid("recipient and sender are one number")],
  [21614, invalid("the number is no mobile number")],
  [21635, invalid("the number is a landline")],
  [
    21608,
    {
      code: "twilio_unverified_number",
      advice: "a trial account sends to verified numbers only; verify it or upgrade the account",
    },
  ],
  [21610, { code: "twilio_opted_out", advice: "the recipient answered STOP; do not send to it" }],
  [
    21408,
    {
      code: "twilio_unreachable_number",
      advice: "messages to this region are switched off in the account's geographic permissions",
    },
  ],
  [21612, { code: "twilio_unreachable_number", advice: "the sender cannot reach this number" }],
  [
    30007,
    {
      code: "twilio_carrier_filtered",
      advice: "the carrier filtered it as spam; register the sender and review the text",
    },
  ],
]);

/** Twilio's number for one failure, with the error that it becomes. */
interface TwilioFailure {
  readonly status: number;
  readonly code: number | undefined;
}

/**
 * The {@link ApiForgeError} for what the SDK threw: the transport's own as it is, or one made of
 * Twilio's answer. Neither the auth token nor a phone number is in it.
 */
export function twilioError(
  error: unknown,
  answer: Response | undefined,
  clock?: Clock,
): ApiForgeError {
  if (ApiForgeError.is(error)) return error;
  if (answer === undefined) {
    // Nothing was sent: the SDK refused what it was given.
    const message = "The Twilio message cannot be written as a request";
    return resilienceError("provider_request_invalid", message, { cause: error });
  }
  const failure = failureOf(error);
  if (failure === undefined) {
    const message = `Twilio answered ${answer.status} with something that is not its JSON`;
    return resilienceError("provider_answer_invalid", message);
  }
  return answeredError(answer, failure, clock);
}

function answeredError(
  answer: Response,
  { status, code }: TwilioFailure,
  clock: Clock | undefined,
): ApiForgeError {
  const meaning = meanings.get(status === 401 ? 20003 : (code ?? 0));
  if (meaning !== undefined) {
    const message = `Twilio answered ${status} ${code}: ${meaning.advice}`;
    return new ApiForgeError(meaning.code, twilioErrors[meaning.code], message);
  }
  // 21611: the sender's queue is full. 20429: documented as never processed.
  const isBusy = code === 21611 || code === 20429;
  const effective = { status: isBusy ? 429 : answer.status, headers: answer.headers };
  return answerError(effective, twilioConnector.title, { reason: code?.toString(), clock });
}

/** Status and number in the SDK's RestException or TwilioServiceException. */
function failureOf(error: unknown): TwilioFailure | undefined {
  if (!(error instanceof Error) || !("status" in error)) return undefined;
  const { status } = error;
  const code = "code" in error ? error.code : undefined;
  if (typeof status !== "number") return undefined;
  return { status, code: typeof code === "number" && code > 0 ? code : undefined };
}

/** The error of a message that a status callback reports as `undelivered` or `failed`. */
export function deliveryError(errorCode: number | undefined): ApiForgeError {
  const meaning = errorCode === undefined ? undefined : meanings.get(errorCode);
  const code = meaning?.code ?? "twilio_undelivered";
  const reason = errorCode === undefined ? "" : ` (${errorCode})`;
  const advice = meaning === undefined ? "" : `: ${meaning.advice}`;
  return new ApiForgeError(
    code,
    twilioErrors[code],
    `Twilio could not deliver it${reason}${advice}`,
  );
}

// Twilio documents that what it answers with 429 was never processed (twilio.com/docs/api/errors/20429).
const unsentCodes = new Set<string>([
  "provider_rate_limited",
  "provider_rejected",
  "provider_request_invalid",
  ...Object.keys(twilioErrors),
]);

/**
 * True when Twilio may have taken the message all the same: the connection broke, the time was up,
 * or it answered 5xx. False when it certainly has not, so that sending again cannot double it.
 */
export function mayHaveBeenSent(error: unknown): boolean {
  if (!ApiForgeError.is(error)) return true;
  if (unsentCodes.has(error.code)) return false;
  return !wasNeverConnected(error);
}

/** No connection came about: the fetch failed with an error of connecting. */
function wasNeverConnected({ code, cause }: ApiForgeError): boolean {
  if (code !== "provider_unreachable") return false;
  const reason = cause instanceof Error ? cause.cause : undefined;
  const name = reason instanceof Error && "code" in reason ? reason.code : undefined;
  return (
    typeof name === "string" &&
    /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/.test(
      name,
    )
  );
}
