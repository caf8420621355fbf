import { createHmac } from "node:crypto";

/**
 * `X-Twilio-Signature` of a form: base64 of HMAC-SHA1, under the auth token, over the URL and each
 * parameter's name and value in the order of the names (twilio.com/docs/usage/security).
 */
export function signForm(
  authToken: string,
  url: string,
  form: Readonly<Record<string, string>>,
): string {
  const text = Object.keys(form)
    .toSorted()
    .reduce((signed, name) => `${signed}${name}${form[name] ?? ""}`, url);
  return createHmac("sha1", authToken).update(text).digest("base64");
}
