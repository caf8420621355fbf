import { edgeError } from "../errors.ts";
import {
  restrictionCheck,
  type KeyRestrictions,
  type RestrictionCheck,
} from "./key-restrictions.ts";
import type { VerifiedToken } from "./token-verifier.ts";

/** Whom an API key speaks for, and where it may be used from. */
export interface VerifiedKey extends VerifiedToken {
  readonly restrictions: KeyRestrictions;
}

/** What becomes of an API key: whom it speaks for, or why it speaks for nobody. */
export type KeyVerdict = VerifiedKey | "invalid" | "expired";

/** Tells who an API key speaks for. */
export interface KeyVerifier {
  /**
   * At once for text that cannot be a key, else once it was looked up.
   * @throws {store_unavailable} when it cannot be looked up.
   */
  verify(key: string): KeyVerdict | Promise<KeyVerdict>;
  /** Told of each request that a key was good for, by the key's id; waits for nothing. */
  used(credentialId: string): void;
}

/** A key that is remembered. */
export interface KnownKey extends VerifiedToken {
  /** Undefined for a key that may be used from everywhere. */
  readonly check: RestrictionCheck | undefined;
}

/**
 * Whom a key speaks for.
 * @throws {invalid_api_key} @throws {api_key_expired}
 */
export async function verifiedKey(verifier: KeyVerifier, key: string): Promise<KnownKey> {
  const verdict = await verifier.verify(key);
  if (verdict === "invalid") throw edgeError("invalid_api_key", "The API key is not valid");
  if (verdict === "expired") throw edgeError("api_key_expired", "The API key has expired");
  const { principal, expiresAt, restrictions } = verdict;
  return { principal, expiresAt, check: restrictionCheck(restrictions) };
}
