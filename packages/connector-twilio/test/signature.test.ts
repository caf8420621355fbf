import fc from "fast-check";
import twilio from "twilio";
import { describe, expect, test } from "vitest";
import { isSignedByTwilio } from "../src/index.ts";

// twilio-node, spec/validation.spec.js.
const vector = {
  token: "12345",
  url: "https://mycompany.com/myapp.php?foo=1&bar=2",
  params: {
    CallSid: "CA1234567890ABCDE",
    Caller: "+14158675309",
    Digits: "1234",
    From: "+14158675309",
    To: "+18005551212",
  },
  signature: "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
};

describe("Twilio's signature", () => {
  test("of the published vector is right", () => {
    expect(isSignedByTwilio(vector, vector.token)).toBe(true);
  });

  // The other vectors of the same file: the port is added or left out.
  test.each([
    ["https://mycompany.com:1234/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="],
    ["https://mycompany.com/myapp.php?foo=1&bar=2", "kvajT1Ptam85bY51eRf/AJRuM3w="],
    ["https://mycompany.com:443/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="],
  ])("of %s is right with and without the port", (url, signature) => {
    expect(isSignedByTwilio({ ...vector, url, signature }, vector.token)).toBe(
      twilio.validateRequest(vector.token, signature, url, vector.params),
    );
    expect(isSignedByTwilio({ ...vector, url, signature }, vector.token)).toBe(true);
  });

  test.each([
    ["another token", vector, "12346"],
    ["another URL", { ...vector, url: `${vector.url}&x=1` }, vector.token],
    ["another host", { ...vector, url: vector.url.replace("mycompany", "evil") }, vector.token],
    ["http for https", { ...vector, url: vector.url.replace("https", "http") }, vector.token],
    ["a changed parameter", { ...vector, params: { ...vector.params, To: "+1" } }, vector.token],
    ["one parameter more", { ...vector, params: { ...vector.params, X: "1" } }, vector.token],
    ["no parameters", { ...vector, params: {} }, vector.token],
    ["no signature", { ...vector, signature: undefined }, vector.token],
    ["an empty signature", { ...vector, signature: "" }, vector.token],
    ["a shorter signature", { ...vector, signature: "RSOYDt4T" }, vector.token],
    ["text after it", { ...vector, signature: `${vector.signature} ` }, vector.token],
    ["an empty URL", { ...vector, url: "" }, vector.token],
  ])("with %s is wrong", (_name, callback, token) => {
    expect(isSignedByTwilio(callback, token)).toBe(false);
  });

  test("is what the official SDK makes and takes, for any parameters", () => {
    const text = fc.string({ unit: "binary", maxLength: 20 });
    const params = fc.dictionary(text, text, { maxKeys: 8, noNullPrototype: true });
    const query = fc.stringMatching(/^[a-z0-9=&%:]{0,20}$/);
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), query, params, (token, tail, form) => {
        const url = `https://api.example.com/webhooks/twilio/status?${tail}`;
        const signature = twilio.getExpectedTwilioSignature(token, url, form);
        expect(isSignedByTwilio({ url, params: form, signature }, token)).toBe(true);
        expect(isSignedByTwilio({ url, params: form, signature }, `${token}x`)).toBe(false);
      }),
    );
  });
});
