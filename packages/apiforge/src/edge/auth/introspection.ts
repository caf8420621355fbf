import { durationMs, type Duration } from "../../kernel/index.ts";
import { edgeError } from "../errors.ts";
import { principalOf } from "./claim-map.ts";
import { askIssuer, requireTrustworthy, type IssuerServices } from "./issuer-fetch.ts";
import type { TokenVerifier, VerifiedToken } from "./token-verifier.ts";
import type { ClaimMap } from "./trusted-issuer.ts";

/** Where tokens that are no JWTs are asked for (RFC 7662), and as whom. */
export interface IntrospectionOptions {
  /** The issuer's introspection endpoint; https, or http on this machine. */
  readonly url: URL;
  /** Credentials of this API at the issuer, sent as `Authorization: Basic` (RFC 6749 section 2.3.1). */
  readonly clientId: string;
  readonly clientSecret: string;
  /** Value that `aud` must contain. Undefined for an issuer whose tokens are all for this API. */
  readonly audience: string | undefined;
  /** Value that `iss` must have; default whatever the endpoint says. */
  readonly issuer?: string;
  readonly claims?: ClaimMap;
  /** How long an answer is used at most, where that is less than the authoriser's cache. */
  readonly maxAge?: Duration;
}

const maxTokenLength = 8_192;
const maxAnswerBytes = 64 * 1_024;
/** Tokens that are asked for at once: who sends made-up ones must not have the issuer overrun. */
const maxAsked = 100;
const compactJws = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/**
 * Asks the issuer about tokens that are no JWTs; JWTs are left to `jwts`.
 * @throws {TypeError} for an address that is neither https nor on this machine.
 */
export function withIntrospection(
  jwts: TokenVerifier,
  options: IntrospectionOptions,
  services: IssuerServices,
): TokenVerifier {
  requireTrustworthy(options.url);
  const maxAgeMs = durationMs(options.maxAge ?? "1h");
  let asked = 0;

  async function introspect(token: string): Promise<VerifiedToken> {
    if (token.length > maxTokenLength) throw edgeError("invalid_token", "The token is too long");
    if (asked >= maxAsked) throw issuerUnavailable();
    asked += 1;
    try {
      const claims = await answerAbout(token, options, services);
      return verifiedBy(claims, options, services.clock.now(), maxAgeMs);
    } finally {
      asked -= 1;
    }
  }
  return {
    verify: (token) => (compactJws.test(token) ? jwts.verify(token) : introspect(token)),
  };
}

type Claims = Readonly<Record<string, unknown>>;

async function answerAbout(
  token: string,
  { url, clientId, clientSecret }: IntrospectionOptions,
  services: IssuerServices,
): Promise<Claims> {
  const credentials = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`;
  const request = {
    method: "POST",
    headers: {
      accept: "application/json",
      authorization: `Basic ${Buffer.from(credentials).toString("base64")}`,
      "content-type": "application/x-www-form-urlencoded",
    },
    body: new URLSearchParams({ token, token_type_hint: "access_token" }).toString(),
    maxBytes: maxAnswerBytes,
  } as const;
  try {
    const { body } = await askIssuer(url, request, services);
    if (isAnswer(body)) return body;
  } catch (error) {
    throw issuerUnavailable(error);
  }
  throw issuerUnavailable(new Error("The answer does not say whether the token is active"));
}

function isAnswer(body: unknown): body is Claims {
  return (
    typeof body === "object" &&
    body !== null &&
    "active" in body &&
    typeof body.active === "boolean"
  );
}

/** Whether the issuer's answer is about a token for this API that holds now. */
function verifiedBy(
  claims: Claims,
  { audience, issuer, claims: map }: IntrospectionOptions,
  nowMs: number,
  maxAgeMs: number,
): VerifiedToken {
  const { active, exp, nbf, aud, iss } = claims;
  // RFC 7662 section 2.2: of a token that does not hold nothing else is told.
  if (active !== true) throw edgeError("invalid_token", "The token is not valid");
  if (issuer !== undefined && iss !== issuer) throw notForUs();
  if (audience !== undefined && ![aud].flat().includes(audience)) throw notForUs();
  const expiresAt = instantOf(exp) ?? Number.POSITIVE_INFINITY;
  if (expiresAt <= nowMs) throw edgeError("token_expired", "The token has expired");
  if ((instantOf(nbf) ?? nowMs) > nowMs)
    throw edgeError("invalid_token", "The token is not valid yet");
  return {
    principal: principalOf(claims, map),
    expiresAt: Math.min(expiresAt, nowMs + maxAgeMs),
  };
}

function instantOf(seconds: unknown): number | undefined {
  if (seconds === undefined) return undefined;
  if (typeof seconds === "number" && Number.isFinite(seconds)) return seconds * 1_000;
  throw issuerUnavailable(new Error("The answer has an instant that is no number"));
}

function notForUs(): Error {
  return edgeError("invalid_token", "The token is not one for calling this API");
}

function formEncoded(text: string): string {
  return new URLSearchParams({ text }).toString().slice("text=".length);
}

function issuerUnavailable(cause?: unknown): Error {
  return edgeError("issuer_unavailable", "The token's issuer cannot be asked about it now", {
    cause,
  });
}
