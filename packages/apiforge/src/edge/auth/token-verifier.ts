import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  jwtVerify,
  type FetchImplementation,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
} from "jose";

import { ApiForgeError, type Clock } from "../../kernel/index.ts";
import { edgeError } from "../errors.ts";
import type { Principal } from "./principal.ts";

/** A party whose tokens are accepted. */
export interface TrustedIssuer {
  /** Exact value of the `iss` claim. */
  readonly issuer: string;
  /** Value that the `aud` claim must contain. */
  readonly audience: string;
  /** Its public keys, or the https address where it publishes them (http on this machine). */
  readonly jwks: JSONWebKeySet | URL;
}

/** A verified token. */
export interface VerifiedToken {
  readonly principal: Principal;
  /** From the `exp` claim. */
  readonly expiresAt: number;
}

/** Tells who a bearer token speaks for. */
export interface TokenVerifier {
  /**
   * @throws {token_expired} past `exp` and the tolerance.
   * @throws {invalid_token} for every other token that proves nothing.
   * @throws {issuer_unavailable} when the issuer's keys cannot be fetched.
   */
  verify(token: string): Promise<VerifiedToken>;
}

/** Options of {@link createTokenVerifier}. */
export interface TokenVerifierOptions {
  readonly issuers: readonly TrustedIssuer[];
  readonly clock: Clock;
  /** Fetches key sets; default the global `fetch`. */
  readonly fetch?: FetchImplementation;
}

// Asymmetric only: a shared secret would let every verifier sign (RFC 8725 section 3.1 asks for an allow-list).
const algorithms = [
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
];
const clockToleranceSeconds = 5;
const maxTokenLength = 8_192;
const keyFetchTimeoutMs = 5_000;
const keyFetchCooldownMs = 30_000;
const keyCacheMaxAgeMs = 600_000;

interface IssuerKeys {
  readonly audience: string;
  readonly getKey: JWTVerifyGetKey;
}

/**
 * Verifies JWTs of the given issuers: signature by an asymmetric algorithm, `iss`, `aud`, `exp`
 * (required) and `nbf` with 5 s of tolerance. Claims read: `sub` and `tenant` (required), `role`,
 * `email`, `scope` (space separated). RFC 7519, RFC 8725.
 * @throws {TypeError} for a key address that is neither https nor on this machine.
 */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const issuers = new Map<string, IssuerKeys>();
  for (const { issuer, audience, jwks } of options.issuers) {
    issuers.set(issuer, { audience, getKey: keySource(jwks, options.fetch) });
  }
  return {
    async verify(token) {
      const issuer = readIssuer(token);
      const keys = issuers.get(issuer);
      if (keys === undefined)
        throw edgeError("invalid_token", "The issuer of the token is not trusted here");
      try {
        const { payload } = await jwtVerify(token, keys.getKey, {
          issuer,
          audience: keys.audience,
          algorithms,
          clockTolerance: clockToleranceSeconds,
          requiredClaims: ["exp", "sub"],
          currentDate: new Date(options.clock.now()),
        });
        return toVerified(payload);
      } catch (error) {
        throw refusal(error);
      }
    },
  };
}

// Keys that somebody on the way can exchange prove nothing; on this machine there is no way.
function isTrustworthy({ protocol, hostname }: URL): boolean {
  const isLoopback =
    hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
  return protocol === "https:" || (protocol === "http:" && isLoopback);
}

function keySource(
  jwks: JSONWebKeySet | URL,
  fetch: FetchImplementation | undefined,
): JWTVerifyGetKey {
  if (!(jwks instanceof URL)) return createLocalJWKSet(jwks);
  if (!isTrustworthy(jwks))
    throw new TypeError(`Keys of an issuer are fetched over https, not from ${jwks.href}`);
  const remote = createRemoteJWKSet(jwks, {
    timeoutDuration: keyFetchTimeoutMs,
    cooldownDuration: keyFetchCooldownMs,
    cacheMaxAge: keyCacheMaxAgeMs,
    ...(fetch === undefined ? {} : { [customFetch]: fetch }),
  });
  return async function fetchKey(header, token) {
    try {
      return await remote(header, token);
    } catch (error) {
      throw isAboutToken(error) ? error : issuerUnavailable(error);
    }
  };
}

function isAboutToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys
  );
}

function issuerUnavailable(cause: unknown): Error {
  return edgeError("issuer_unavailable", "The keys of the token's issuer cannot be fetched now", {
    cause,
  });
}

// Read before verification, to choose whose keys to verify with; verification checks it again.
function readIssuer(token: string): string {
  if (token.length > maxTokenLength) throw edgeError("invalid_token", "The token is too long");
  try {
    return decodeJwt(token).iss ?? "";
  } catch (error) {
    throw edgeError("invalid_token", "The token is not a JWT", { cause: error });
  }
}

function refusal(error: unknown): Error {
  if (ApiForgeError.is(error)) return error;
  if (error instanceof errors.JWTExpired) {
    return edgeError("token_expired", "The token has expired", { cause: error });
  }
  return edgeError("invalid_token", "The token is not valid", { cause: error });
}

function toVerified(payload: JWTPayload): VerifiedToken {
  const { sub, exp } = payload;
  const tenant = payload["tenant"];
  if (typeof sub !== "string" || sub === "" || typeof exp !== "number") {
    throw edgeError("invalid_token", "The token names no subject");
  }
  if (typeof tenant !== "string" || tenant === "") {
    throw edgeError("invalid_token", "The token names no tenant");
  }
  return { principal: toPrincipal(sub, tenant, payload), expiresAt: exp * 1_000 };
}

function toPrincipal(subject: string, tenant: string, claims: JWTPayload): Principal {
  const email = claims["email"];
  return {
    subject,
    tenant,
    role: text(claims["role"]),
    ...(typeof email === "string" ? { email } : {}),
    scopes: text(claims["scope"])
      .split(" ")
      .filter((scope) => scope !== ""),
    claims,
  };
}

function text(claim: unknown): string {
  return typeof claim === "string" ? claim : "";
}
