import { createTwilioMessaging, type TwilioMessaging } from "@apiforge/connector-twilio";
import {
  readMessagingLimits,
  sandboxDefaults,
  trialDefaults,
  type MessagingLimits,
} from "@apiforge/example-bulk-messages";
import { ApiForgeError } from "apiforge";

/** The account that text messages are sent with. */
export interface TwilioSender extends MessagingLimits {
  readonly twilio: TwilioMessaging;
  readonly authToken: string;
  /** The sender's number. */
  readonly from: string;
  /** False when the status callbacks can only come by a public URL. */
  readonly isLocal: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const names = ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER"] as const;

/**
 * The account of the environment; undefined when it names none.
 * @throws {config_invalid} when it names only a part of one.
 */
export function readTwilio(environment: Environment): TwilioSender | undefined {
  const [accountSid = "", authToken = "", from = ""] = names.map((name) => environment[name]);
  const missing = names.filter((name) => (environment[name] ?? "") === "");
  if (missing.length === names.length) return undefined;
  if (missing.length > 0) throw configInvalid(`${missing.join(" and ")} must be set as well`);
  const baseUrl = environment["TWILIO_BASE_URL"] ?? "";
  const twilio = createTwilioMessaging({
    accountSid,
    authToken,
    ...(baseUrl === "" ? {} : { baseUrl }),
  });
  const limits = readMessagingLimits(environment, trialDefaults);
  return { ...limits, twilio, authToken, from, isLocal: baseUrl !== "" };
}

/** The account of the sandbox. */
export function sandboxTwilio(environment: Environment, baseUrl: string): TwilioSender {
  const accountSid = `AC${"0".repeat(32)}`;
  const authToken = "0".repeat(32);
  const twilio = createTwilioMessaging({ accountSid, authToken, baseUrl });
  const limits = readMessagingLimits(environment, sandboxDefaults);
  return { ...limits, twilio, authToken, from: "+15005550006", isLocal: true };
}

function configInvalid(message: string): ApiForgeError {
  return new ApiForgeError(
    "config_invalid",
    { type: "api_error", status: 500, retryable: false },
    `${message}.`,
  );
}
