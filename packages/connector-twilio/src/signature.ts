import { createHmac, timingSafeEqual } from "node:crypto";

/** A callback as it arrived. */
export interface SignedCallback {
  /** The URL that Twilio was given, with its query: never one made of the request's own `Host`. */
  readonly url: string;
  /** The form's parameters. */
  readonly params: Readonly<Record<string, string>>;
  /** `X-Twilio-Signature`. */
  readonly signature: string | undefined;
}

/**
 * True when the callback was signed with this account's auth token: base64 of HMAC-SHA1 over the
 * URL and each parameter's name and value in the order of the names
 * (twilio.com/docs/usage/security#validating-requests). Twilio leaves the port out for some URLs
 * and not for others, so the URL counts with, without and with the standard port. Compared in
 * constant time. The scheme has no timestamp: whoever processes callbacks has to drop repeats.
 */
export function isSignedByTwilio(callback: SignedCallback, authToken: string): boolean {
  const given = Buffer.from(callback.signature ?? "");
  const tail = Object.entries(callback.params)
    .toSorted(([one], [other]) => compareText(one, other))
    .map(([name, value]) => name + value)
    .join("");
  let isValid = false;
  for (const url of spellings(callback.url)) {
    const expected = createHmac("sha1", authToken)
      .update(url + tail)
      .digest("base64");
    const bytes = Buffer.from(expected);
    if (bytes.length === given.length && timingSafeEqual(bytes, given)) isValid = true;
  }
  return isValid;
}

// The order of UTF-16 units, as Array.prototype.sort has it: that is what Twilio's libraries sign.
function compareText(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function spellings(url: string): ReadonlySet<string> {
  const parts = /^(https?:\/\/)([^/?#]*?)(:\d+)?([/?#].*)?$/i.exec(url);
  if (parts === null) return new Set([url]);
  const [, scheme = "", host = "", , rest = ""] = parts;
  const standardPort = scheme.toLowerCase() === "https://" ? ":443" : ":80";
  return new Set([url, `${scheme}${host}${rest}`, `${scheme}${host}${standardPort}${rest}`]);
}
