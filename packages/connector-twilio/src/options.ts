import { resilienceError, type Clock } from "apiforge/resilience";

/** Which account, and how long to wait for Twilio. */
export interface TwilioOptions {
  /** `AC` and 32 hexadecimal digits. */
  readonly accountSid: string;
  /** A secret: it speaks for the account, and signs its callbacks. */
  readonly authToken: string;
  /** Origin of the API; default `https://api.twilio.com`. */
  readonly baseUrl?: string;
  /** Time for one call, from connecting to the end of the answer; default 10 s. */
  readonly timeoutMs?: number;
  /** Default: the machine's clock. */
  readonly clock?: Clock;
}

/** @throws {ApiForgeError} `provider_request_invalid` naming the setting at fault. */
export function checkOptions({ accountSid, authToken, baseUrl }: TwilioOptions): void {
  const problem =
    (/^AC[0-9a-fA-F]{32}$/.test(accountSid)
      ? undefined
      : "TWILIO_ACCOUNT_SID must be AC and 32 hexadecimal digits") ??
    (authToken === "" ? "TWILIO_AUTH_TOKEN is empty" : undefined) ??
    (baseUrl === undefined || /^https?:$/.test(URL.parse(baseUrl)?.protocol ?? "")
      ? undefined
      : "The base URL of Twilio is not an http or https URL");
  if (problem !== undefined) throw resilienceError("provider_request_invalid", problem);
}
