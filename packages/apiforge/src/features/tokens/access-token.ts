import { SignJWT } from "jose";

import { newId } from "../../kernel/index.ts";
import { algorithm, type SigningKey } from "./signing-key.ts";

/** What an access token says; its form is RFC 9068. */
export interface AccessClaims {
  readonly issuer: string;
  readonly audience: string;
  readonly subject: string;
  readonly clientId: string;
  readonly tenant: string;
  readonly role: string;
  readonly email: string | null;
  readonly scopes: readonly string[];
  /** The session that the token belongs to; null for a service's. */
  readonly sessionId: string | null;
  /** SHA-256 thumbprint, base64url, of the certificate that it is bound to (RFC 8705); null for none. */
  readonly certificate: string | null;
}

/** Signs a token of type `at+jwt` that holds from `nowMs` for `ttlMs`. */
export function signAccessToken(
  key: SigningKey,
  claims: AccessClaims,
  nowMs: number,
  ttlMs: number,
): Promise<string> {
  if (key.privateKey === undefined) throw new TypeError(`Key ${key.kid} only verifies`);
  const issuedAt = Math.floor(nowMs / 1_000);
  return new SignJWT(payloadOf(claims))
    .setProtectedHeader({ alg: algorithm, kid: key.kid, typ: "at+jwt" })
    .setIssuer(claims.issuer)
    .setAudience(claims.audience)
    .setSubject(claims.subject)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + Math.floor(ttlMs / 1_000))
    .setJti(newId("tok"))
    .sign(key.privateKey);
}

function payloadOf(claims: AccessClaims): Record<string, unknown> {
  const { clientId, tenant, role, email, scopes, sessionId, certificate } = claims;
  return {
    client_id: clientId,
    tenant,
    ...(role === "" ? {} : { role }),
    ...(email === null ? {} : { email }),
    ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
    ...(sessionId === null ? {} : { sid: sessionId }),
    ...(certificate === null ? {} : { cnf: { "x5t#S256": certificate } }),
  };
}
