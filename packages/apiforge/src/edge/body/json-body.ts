import { isUtf8 } from "node:buffer";

import { edgeError } from "../errors.ts";
import { findDuplicateKey } from "./duplicate-key.ts";

/** Objects and arrays inside one another; deeper content is refused before anything walks it. */
export const maxJsonDepth = 64;

// Raw control characters are no JSON, so U+0000 is always written as this escape.
const nulEscape = "\\u0000";
const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/**
 * Parses a request body as RFC 8259 JSON that every reader understands alike: UTF-8 without a
 * byte order mark, no key twice in one object (RFC 8259 section 4 leaves its meaning open), no key
 * that sets a prototype, no U+0000. An empty body is undefined. `path` names it in refusals.
 * @throws {invalid_json}, {json_too_deep}, {duplicate_json_key}, {forbidden_json_key},
 * {forbidden_character}
 */
export function parseJsonBody(bytes: Buffer, path = "body"): unknown {
  if (bytes.length === 0) return undefined;
  if (!isUtf8(bytes)) throw edgeError("invalid_json", `${subject(path)} is not valid UTF-8`);
  const text = bytes.toString("utf8");
  const keysWritten = countKeys(text);
  const value = parse(text, path);
  if (countOwnKeys(value, path) !== keysWritten) throw duplicateKey(text, path);
  if (text.includes(nulEscape)) refuseNul(value, path);
  return value;
}

function subject(path: string): string {
  return path === "body" ? "The body" : path;
}

// Text of PostgreSQL cannot hold U+0000; what one store takes and the other fails on is refused here.
function refuseNul(value: unknown, path: string): void {
  if (typeof value === "string" && value.includes("\0")) {
    throw edgeError("forbidden_character", `${path} contains U+0000, which is not accepted`, {
      param: path,
    });
  }
  if (typeof value !== "object" || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    refuseNul(key, path);
    refuseNul(child, `${path}.${key}`);
  }
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw edgeError("invalid_json", `${subject(path)} is not valid JSON`, { cause: error });
  }
}

/**
 * Colons outside of strings, which in valid JSON are as many as keys; for other text the number
 * means nothing, and parsing refuses it.
 */
function countKeys(text: string): number {
  let keys = 0;
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit === quote) {
      index = endOfString(text, index);
    } else if (unit === colon) {
      keys++;
    } else if (unit === openBrace || unit === openBracket) {
      if (++depth > maxJsonDepth) {
        throw edgeError("json_too_deep", `The body nests deeper than ${maxJsonDepth} levels`);
      }
    } else if (unit === closeBrace || unit === closeBracket) {
      depth--;
    }
  }
  return keys;
}

/** Index of the quote that closes the string opened at `start`, or past the end when none does. */
function endOfString(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit === quote) return index;
    if (unit === backslash) index++;
  }
  return text.length;
}

// A key that occurs twice is written twice and present once.
function countOwnKeys(value: unknown, path: string): number {
  if (typeof value !== "object" || value === null) return 0;
  if (Array.isArray(value)) return countInArray(value, path);
  let count = 0;
  for (const [key, child] of Object.entries(value)) {
    if (key === "__proto__" || (key === "constructor" && hasPrototype(child))) {
      throw edgeError("forbidden_json_key", `The key ${key} is not accepted`, {
        param: `${path}.${key}`,
      });
    }
    count++;
    if (typeof child === "object" && child !== null) count += countOwnKeys(child, `${path}.${key}`);
  }
  return count;
}

function countInArray(values: readonly unknown[], path: string): number {
  let count = 0;
  for (let index = 0; index < values.length; index++) {
    const child = values[index];
    if (typeof child === "object" && child !== null)
      count += countOwnKeys(child, `${path}.${index}`);
  }
  return count;
}

function hasPrototype(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "prototype");
}

function duplicateKey(text: string, root: string): Error {
  const path = [root, ...(findDuplicateKey(text) ?? [])].join(".");
  return edgeError("duplicate_json_key", `${path} is given more than once`, { param: path });
}
