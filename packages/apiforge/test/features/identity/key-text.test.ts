import fc from "fast-check";
import { expect, test } from "vitest";

import { createKeyVerifier, KeyUsage } from "../../../src/features/identity/index.ts";
import { modeOfKey, newKeyText } from "../../../src/features/identity/key-text.ts";
import { silentLog, systemClock } from "../../../src/kernel/index.ts";

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

test("the checksum is CRC-32 in base62, so that others can compute it", () => {
  const known = `af_live_${"0".repeat(32)}`;
  const made = newKeyText("live");
  expect(made.length).toBe(known.length + 6);
  expect(modeOfKey(made)).toBe("live");
  expect(modeOfKey(newKeyText("test"))).toBe("test");
});

test("one wrong digit, two that changed places and a cut are seen", () => {
  fc.assert(
    fc.property(fc.nat({ max: 37 }), fc.nat({ max: 61 }), (place, digit) => {
      const key = newKeyText("test");
      const at = "af_test_".length + place;
      const wrong = key.slice(0, at) + digits.charAt(digit) + key.slice(at + 1);
      expect(modeOfKey(wrong)).toBe(wrong === key ? "test" : undefined);
      const swapped =
        key.slice(0, at - 1) + key.charAt(at) + key.charAt(at - 1) + key.slice(at + 1);
      if (swapped !== key) expect(modeOfKey(swapped)).toBeUndefined();
      expect(modeOfKey(key.slice(0, at))).toBeUndefined();
    }),
  );
});

test("the mode is part of what the checksum covers", () => {
  const key = newKeyText("test");
  expect(modeOfKey(key.replace("test", "live"))).toBeUndefined();
});

test("text that is no key is refused without a look into the store", () => {
  const read = (): never => {
    throw new Error("The store was asked");
  };
  const usage = new KeyUsage({ durable: { transact: read }, clock: systemClock, log: silentLog });
  const verifier = createKeyVerifier(new Uint8Array(32), { read }, systemClock, usage);
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((end) => `af_live_${end}`),
      ),
      (text) => {
        expect(verifier.verify(text)).toBe("invalid");
      },
    ),
  );
  expect(() => verifier.verify(newKeyText("live"))).toThrow("The store was asked");
});
