import { errors, jwtVerify, type JWTVerifyGetKey } from "jose";

import { ApiForgeError, type Clock } from "../../kernel/index.ts";
import { edgeError } from "../errors.ts";
import { principalOf } from "./claim-map.ts";
import { localKeySet, remoteKeySet, sourceKeySet } from "./key-set.ts";
import { withIntrospection, type IntrospectionOptions } from "./introspection.ts";
import type { Fetch, IssuerServices } from "./issuer-fetch.ts";
import type { Principal } from "./principal.ts";
import { readToken, type UnverifiedToken } from "./token-form.ts";
import { signatureAlgorithms, type TrustedIssuer } from "./trusted-issuer.ts";

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
   * @throws {issuer_unavailable} when the issuer's keys cannot be fetched, or it cannot be asked.
   */
  verify(token: string): Promise<VerifiedToken>;
}

/** Options of {@link createTokenVerifier}. */
export interface TokenVerifierOptions {
  readonly issuers: readonly TrustedIssuer[];
  /** Who is asked about tokens that are no JWTs; default nobody, and they are refused. */
  readonly introspection?: IntrospectionOptions | undefined;
  readonly clock: Clock;
  /** Fetches key sets and asks about tokens; default the global `fetch`. */
  readonly fetch?: Fetch;
}

const clockToleranceSeconds = 5;
const defaultTokenTypes: readonly (string | null)[] = ["at+jwt", "jwt", null];
/** OpenID Connect Core section 2: claims of an ID token, which tells the client who has logged in. */
const idTokenClaims = ["nonce", "at_hash", "c_hash"];

interface Issuer {
  readonly trusted: TrustedIssuer;
  readonly getKey: JWTVerifyGetKey;
}

/**
 * Verifies JWTs of the given issuers: signature by an algorithm that the issuer may use, `typ`,
 * `iss`, `aud`, `exp` (required) and `nbf` with 5 s of tolerance, and what the issuer's entry asks
 * for besides. Keys come from the issuer alone: what a token says of them (`jku`, `jwk`, `x5u`,
 * `x5c`) is never followed. RFC 7519, RFC 8725, RFC 9068.
 * @throws {TypeError} for two entries of one issuer, one that accepts tokens for anybody, and a key
 * address that is neither https nor on this machine.
 */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { clock, fetch = globalThis.fetch, introspection } = options;
  const issuers = issuersByName(options.issuers, { clock, fetch });
  const jwts: TokenVerifier = {
    async verify(token) {
      const unverified = readToken(token);
      const issuer = issuers.get(String(unverified.claims["iss"]));
      if (issuer === undefined)
        throw edgeError("invalid_token", "The issuer of the token is not trusted here");
      requireKind(unverified, issuer.trusted);
      try {
        return await verifySignature(token, issuer, clock.now());
      } catch (error) {
        throw refusal(error);
      }
    },
  };
  if (introspection === undefined) return jwts;
  return withIntrospection(jwts, introspection, { clock, fetch });
}

function issuersByName(
  trustedIssuers: readonly TrustedIssuer[],
  services: IssuerServices,
): ReadonlyMap<string, Issuer> {
  const issuers = new Map<string, Issuer>();
  for (const trusted of trustedIssuers) {
    const { issuer, jwks } = trusted;
    if (issuers.has(issuer)) throw new TypeError(`Issuer ${issuer} is listed twice`);
    if (trusted.audience === undefined && Object.keys(trusted.accepts ?? {}).length === 0) {
      throw new TypeError(`Issuer ${issuer}: give an audience, or claims that it accepts`);
    }
    issuers.set(issuer, { trusted, getKey: getKeyOf(jwks, services) });
  }
  return issuers;
}

function getKeyOf(jwks: TrustedIssuer["jwks"], services: IssuerServices): JWTVerifyGetKey {
  if (jwks instanceof URL) return remoteKeySet(jwks, services);
  return "fresh" in jwks ? sourceKeySet(jwks) : localKeySet(jwks);
}

async function verifySignature(
  token: string,
  { trusted, getKey }: Issuer,
  nowMs: number,
): Promise<VerifiedToken> {
  const { issuer, audience } = trusted;
  const { payload } = await jwtVerify(token, getKey, {
    issuer,
    ...(audience === undefined ? {} : { audience }),
    algorithms: [...(trusted.algorithms ?? signatureAlgorithms)],
    clockTolerance: clockToleranceSeconds,
    requiredClaims: ["exp", "sub"],
    currentDate: new Date(nowMs),
  });
  return {
    principal: principalOf(payload, trusted.claims),
    expiresAt: Number(payload.exp) * 1_000,
  };
}

/** Refuses a token that its issuer signed for another use. */
function requireKind({ header, claims }: UnverifiedToken, trusted: TrustedIssuer): void {
  const types = trusted.tokenTypes ?? defaultTokenTypes;
  if (!types.includes(typeOf(header["typ"]))) throw edgeError("invalid_token", wrongKind);
  // Half a second is no NumericDate that any issuer writes, and a number too large for one is none.
  if (!Number.isSafeInteger(claims["exp"])) throw edgeError("invalid_token", noExpiry);
  if (trusted.idTokens !== true && idTokenClaims.some((claim) => claim in claims)) {
    throw edgeError("invalid_token", wrongKind);
  }
  for (const [claim, values] of Object.entries(trusted.accepts ?? {})) {
    const value = claims[claim];
    if (typeof value !== "string" || !values.includes(value)) {
      throw edgeError("invalid_token", wrongKind);
    }
  }
}

const wrongKind = "The token is not one for calling this API";
const noExpiry = "The token does not say when it expires";

/** RFC 7515 section 4.1.9: compared as a media type, whose `application/` may be left out. */
function typeOf(typ: unknown): string | null {
  if (typ === undefined) return null;
  return typeof typ === "string" ? typ.toLowerCase().replace(/^application\//, "") : "";
}

function refusal(error: unknown): Error {
  if (ApiForgeError.is(error)) return error;
  if (error instanceof errors.JWTExpired) {
    return edgeError("token_expired", "The token has expired", { cause: error });
  }
  return edgeError("invalid_token", "The token is not valid", { cause: error });
}
