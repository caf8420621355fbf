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
