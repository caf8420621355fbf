import { createHmac } from "node:crypto";
import { crc32 } from "node:zlib";

import type { KeyMode } from "../../edge/index.ts";
import { randomText } from "../../kernel/index.ts";

/** What keys are for. */
export const keyModes = ["live", "test"] as const satisfies readonly KeyMode[];

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 190 bits: nobody guesses one, so its digest needs no slow hash. */
const randomDigits = 32;
const checksumDigits = 6;
const form = /^af_(live|test)_[0-9A-Za-z]{38}$/;
const shownDigits = 4;

/** A new key: `af_live_` or `af_test_`, 32 random base62 digits and 6 of the CRC-32 of all before. */
export function newKeyText(mode: KeyMode): string {
  const head = `af_${mode}_${randomText(randomDigits)}`;
  return head + checksum(head);
}

/**
 * What `text` is a key for; undefined where it is none. Mistyped, cut or made-up keys are told by
 * their checksum, without a look into the store.
 */
export function modeOfKey(text: string): KeyMode | undefined {
  const mode = form.exec(text)?.[1];
  if (mode !== "live" && mode !== "test") return undefined;
  const head = text.slice(0, -checksumDigits);
  return text.endsWith(checksum(head)) ? mode : undefined;
}

/** The ends of a key that may be shown, by which people tell their keys apart: 8 of its 38 digits. */
export function shownParts(text: string): { readonly prefix: string; readonly lastFour: string } {
  return {
    prefix: text.slice(0, "af_live_".length + shownDigits),
    lastFour: text.slice(-shownDigits),
  };
}

/** HMAC-SHA-256 of a key's text: whoever reads the store can neither use it nor try keys at it. */
export function keyDigest(secret: Uint8Array, text: string): Buffer {
  return createHmac("sha256", secret).update(text).digest();
}

function checksum(head: string): string {
  let digits = "";
  for (let rest = crc32(head), place = 0; place < checksumDigits; place++) {
    digits = alphabet.charAt(rest % alphabet.length) + digits;
    rest = Math.floor(rest / alphabet.length);
  }
  return digits;
}
