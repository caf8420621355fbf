import { findDuplicateKey } from "../body/duplicate-key.ts";
import { edgeError } from "../errors.ts";

/** A signed token that has been read and not yet been verified. */
export interface UnverifiedToken {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

const maxTokenLength = 8_192;
const maxDepth = 16;
// Compact JWS: three parts, where JWE has five; neither padding nor white space (RFC 7515 section 3.1).
const compact = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads a compact JWS strictly, so that no two readers see different tokens in it.
 * @throws {invalid_token} for any other form, base64url with stray bits, members that stand twice,
 * a `crit` header, and more than 8 KiB.
 */
export function readToken(token: string): UnverifiedToken {
  if (token.length > maxTokenLength) throw edgeError("invalid_token", "The token is too long");
  const [, headerPart, claimsPart, signature] = compact.exec(token) ?? [];
  if (headerPart === undefined || claimsPart === undefined || signature === undefined) {
    throw notToken();
  }
  // One signature in two spellings would be two tokens for whoever remembers tokens by their text.
  bytesOf(signature);
  const header = readObject(headerPart);
  // Nothing that is understood here may be critical, `b64` of RFC 7797 included.
  if ("crit" in header || "b64" in header) throw notToken();
  return { header, claims: readObject(claimsPart) };
}

function readObject(part: string): Readonly<Record<string, unknown>> {
  const bytes = bytesOf(part);
  try {
    const text = utf8.decode(bytes);
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value) && isFlat(value)) {
      if (findDuplicateKey(text) === undefined) return value as Record<string, unknown>;
    }
  } catch (error) {
    throw notToken(error);
  }
  throw notToken();
}

function isFlat(value: unknown, depth = 0): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth < maxDepth && Object.values(value).every((member) => isFlat(member, depth + 1));
}

function bytesOf(part: string): Buffer {
  const bytes = Buffer.from(part, "base64url");
  if (bytes.toString("base64url") !== part) throw notToken();
  return bytes;
}

function notToken(cause?: unknown): Error {
  return edgeError("invalid_token", "The token is not a JWT", { cause });
}
