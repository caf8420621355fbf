import type { JSONWebKeySet } from "jose";

import type { KeySource } from "./key-set.ts";

/** Signature algorithms that an issuer may use: asymmetric only, since a shared secret lets every verifier sign. */
export const signatureAlgorithms = [
  "EdDSA",
  "Ed25519",
  "ES256",
  "ES384",
  "ES512",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
] as const;
export type SignatureAlgorithm = (typeof signatureAlgorithms)[number];

/**
 * Where a value stands among the claims: a claim's name, the names on the way to a nested one, or
 * one value for every token of the issuer.
 */
export type ClaimSource = string | readonly string[] | { readonly constant: string };

/** Which claims say who is calling. */
export interface ClaimMap {
  /** Default `tenant`. */
  readonly tenant?: ClaimSource;
  /** Default `role`. A list of roles needs {@link roleOrder}. */
  readonly role?: ClaimSource;
  /** Of a caller with several roles, the first of these that it has. Default: a list gives no role. */
  readonly roleOrder?: readonly string[];
  /** Texts separated by spaces, or lists; what they hold is put together. Default `scope`. */
  readonly scopes?: readonly ClaimSource[];
  /** Default `email`. */
  readonly email?: ClaimSource;
}

/** A party whose tokens are accepted. */
export interface TrustedIssuer {
  /** Exact value of the `iss` claim. */
  readonly issuer: string;
  /**
   * Value that the `aud` claim must contain. Undefined for an issuer that sets none; then
   * {@link accepts} says what makes a token one for this API.
   */
  readonly audience: string | undefined;
  /** Its public keys, the https address where it publishes them (http on this machine), or where they are found. */
  readonly jwks: JSONWebKeySet | URL | KeySource;
  /** Default all of {@link signatureAlgorithms}. RFC 8725 section 3.1. */
  readonly algorithms?: readonly SignatureAlgorithm[];
  /**
   * Values of the `typ` header, in lower case and without `application/`; null stands for none.
   * Default `at+jwt`, `jwt` and none; `["at+jwt"]` holds an issuer to RFC 9068.
   */
  readonly tokenTypes?: readonly (string | null)[];
  /** Claims that must have one of these values, for example `{ token_use: ["access"] }`. */
  readonly accepts?: Readonly<Record<string, readonly string[]>>;
  /** Takes ID tokens as well, for issuers that have no other. Default false: one says who logged in, not who may call. */
  readonly idTokens?: boolean;
  readonly claims?: ClaimMap;
}
