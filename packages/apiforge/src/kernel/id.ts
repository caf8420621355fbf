import { randomBytes } from "node:crypto";

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const timeDigits = 8;
const randomDigits = 14;
const poolBytes = 8_192;

let pool = randomBytes(poolBytes);
let offset = 0;
let stampMs = -1;
let stamp = "";

/**
 * A new public id: `prefix_` + 8 base62 digits of the millisecond + 14 random ones (83 bits).
 * Ids made later sort later, to the millisecond, so that the primary keys of large tables are
 * appended instead of scattered (a scattered key dirties one B-tree page per row).
 */
export function newId(prefix: string): string {
  return `${prefix}_${timeStamp(Date.now())}${randomText(randomDigits)}`;
}

/** `length` random base62 digits, without bias. */
export function randomText(length: number): string {
  let text = "";
  while (text.length < length) {
    if (offset === poolBytes) {
      pool = randomBytes(poolBytes);
      offset = 0;
    }
    // 62 of 64 six-bit values are kept: taking the byte modulo 62 would favour the first digits.
    const value = pool[offset++]! & 63;
    if (value < 62) text += alphabet[value];
  }
  return text;
}

function timeStamp(nowMs: number): string {
  if (nowMs === stampMs) return stamp;
  stampMs = nowMs;
  stamp = "";
  for (let rest = nowMs, digit = 0; digit < timeDigits; digit++, rest = Math.floor(rest / 62)) {
    stamp = alphabet[rest % 62] + stamp;
  }
  return stamp;
}
