import { edgeError } from "../errors.ts";
import type { VerifiedToken } from "./token-verifier.ts";

/** What becomes of an API key: whom it speaks for, or why it speaks for nobody. */
export type KeyVerdict = VerifiedToken | "invalid" | "expired";

/** Tells who an API key speaks for. */
export interface KeyVerifier {
  /**
   * At once for text that cannot be a key, else once it was looked up.
   * @throws {store_unavailable} when it cannot be looked up.
   */
  verify(key: string): KeyVerdict | Promise<KeyVerdict>;
}

/**
 * Whom a key speaks for.
 * @throws {invalid_api_key} @throws {api_key_expired}
 */
export async function verifiedKey(verifier: KeyVerifier, key: string): Promise<VerifiedToken> {
  const verdict = await verifier.verify(key);
  if (verdict === "invalid") throw edgeError("invalid_api_key", "The API key is not valid");
  if (verdict === "expired") throw edgeError("api_key_expired", "The API key has expired");
  return verdict;
}
