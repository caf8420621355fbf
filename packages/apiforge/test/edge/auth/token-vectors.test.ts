import { generateKeyPairSync, sign as signBytes, type KeyObject } from "node:crypto";
import { exportJWK, type JWK } from "jose";
import { beforeAll, expect, test } from "vitest";

import { createTokenVerifier, type TrustedIssuer } from "../../../src/edge/index.ts";
import { ManualClock } from "../edge-harness.ts";
import { part, signingKey, type SigningKey } from "./token-fixture.ts";

const clock = new ManualClock();
const nowSeconds = clock.now() / 1_000;
const claims = {
  iss: "https://issuer.test",
  aud: "api",
  sub: "usr_1",
  tenant: "ten_1",
  exp: nowSeconds + 60,
};

let ec: SigningKey;
let rsa: SigningKey;
let trusted: TrustedIssuer;
/** A key of the set whose private half signs any bytes. */
let raw: KeyObject;
let attacker: KeyObject;
let attackerJwk: JWK;

beforeAll(async () => {
  [ec, rsa] = await Promise.all([signingKey("ES256"), signingKey("RS256")]);
  const rawPair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  raw = rawPair.privateKey;
  const attackerPair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  attacker = attackerPair.privateKey;
  attackerJwk = await exportJWK(attackerPair.publicKey);
  const rawJwk = { ...(await exportJWK(rawPair.publicKey)), kid: "raw", alg: "ES256" };
  trusted = {
    issuer: claims.iss,
    audience: claims.aud,
    jwks: { keys: [ec.jwk, rsa.jwk, rawJwk] },
  };
});

function verify(token: string, entry: Partial<TrustedIssuer> = {}) {
  return createTokenVerifier({ issuers: [{ ...trusted, ...entry }], clock }).verify(token);
}

function signed(
  header: string | object,
  payload: string | object,
  encoding: "ieee-p1363" | "der" = "ieee-p1363",
  key = raw,
): string {
  const input = `${part(header)}.${part(payload)}`;
  const bytes = signBytes("sha256", Buffer.from(input), { key, dsaEncoding: encoding });
  return `${input}.${bytes.toString("base64url")}`;
}

const head = { alg: "ES256", kid: "raw" };
const claimsText = JSON.stringify(claims);

const refused: [string, () => string | Promise<string>][] = [
  ["alg nOnE", () => `${part({ alg: "nOnE" })}.${part(claims)}.AAAA`],
  ["alg twice", () => signed('{"alg":"none","kid":"raw","alg":"ES256"}', claims)],
  ["a claim twice", () => signed(head, `{"sub":"usr_0",${claimsText.slice(1)}`)],
  ["a claim twice, once escaped", () => signed(head, `{"\\u0073ub":"a",${claimsText.slice(1)}`)],
  ["a nested member twice", () => signed(head, `{"o":{"a":1,"a":2},${claimsText.slice(1)}`)],
  ["claims that are a list", () => signed(head, [claims])],
  ["claims nested too deep", () => signed(head, { ...claims, x: JSON.parse(nested(40)) })],
  ["bytes that are not UTF-8", () => signed(head, claims).replace(/\.[^.]+\./, ".eyJhIjoi_yJ9.")],
  ["a header that is no JSON", () => `${part("{")}.${part(claims)}.AAAA`],
  ["b64 false", () => signed({ ...head, b64: false, crit: ["b64"] }, claims)],
  ["b64 without crit", () => signed({ ...head, b64: true }, claims)],
  ["an empty crit", () => signed({ ...head, crit: [] }, claims)],
  ["a known header as crit", () => signed({ ...head, crit: ["exp"], exp: 1 }, claims)],
  ["five parts", () => `${part({ alg: "dir", enc: "A256GCM" })}..AAAA.AAAA.AAAA`],
  ["JSON serialization", () => JSON.stringify({ payload: part(claims), signatures: [] })],
  ["base64 instead of base64url", async () => `${(await ec.sign(claims)).slice(0, -2)}+/`],
  ["stray bits in its signature", async () => strayBits(await ec.sign(claims))],
  ["an ECDSA signature in DER", () => signed(head, claims, "der")],
  ["half an ECDSA signature", () => truncated(signed(head, claims))],
  ["another curve's alg", () => signed({ ...head, alg: "ES384" }, claims)],
  ["another key's alg", () => ec.sign(claims, { kid: "RS256" })],
  ["an embedded jwk", () => forged({ jwk: attackerJwk })],
  ["a jku", () => forged({ jku: "https://evil.test/jwks.json" })],
  ["an x5u", () => forged({ x5u: "https://evil.test/cert.pem" })],
  ["an x5c", () => forged({ x5c: ["MIIB"] })],
  ["a kid that is SQL", () => forged({ kid: "' or 1=1 --" })],
  ["a kid that is a path", () => forged({ kid: "../../../dev/null" })],
  ["a kid that is no text", () => forged({ kid: { $ne: 1 } })],
  ["an exp with a fraction", () => ec.sign({ ...claims, exp: nowSeconds + 60.5 })],
  ["an exp beyond any date", () => ec.sign({ ...claims, exp: 1e300 })],
  ["an nbf that is text", () => ec.sign({ ...claims, nbf: "0" })],
  ["audiences without ours", () => ec.sign({ ...claims, aud: ["other", "apix"] })],
  ["an audience that is an object", () => ec.sign({ ...claims, aud: { api: true } })],
  ["an issuer with a slash more", () => ec.sign({ ...claims, iss: `${claims.iss}/` })],
  ["issuers in a list", () => ec.sign({ ...claims, iss: [claims.iss] })],
  ["the type of another use", () => ec.sign(claims, { typ: "logout+jwt" })],
  ["a type that is no text", () => signed({ ...head, typ: 1 }, claims)],
  ["an ID token's nonce", () => ec.sign({ ...claims, nonce: "n" })],
  ["an ID token's at_hash", () => ec.sign({ ...claims, at_hash: "h" })],
];

function nested(depth: number): string {
  return "[".repeat(depth) + "]".repeat(depth);
}

function forged(header: object): string {
  return signed({ ...head, ...header }, claims, "ieee-p1363", attacker);
}

/** 64 bytes are 86 characters, the last of which has four bits that mean nothing. */
function strayBits(token: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return token.slice(0, -1) + alphabet.charAt(alphabet.indexOf(token.slice(-1)) + 1);
}

function truncated(token: string): string {
  const [header, payload, signature = ""] = token.split(".");
  const half = Buffer.from(signature, "base64url").subarray(0, 32);
  return `${header}.${payload}.${half.toString("base64url")}`;
}

test.each(refused)("a token with %s is refused", async (_what, make) => {
  await expect(verify(await make())).rejects.toMatchObject({ code: "invalid_token", status: 401 });
});

test("the key that signs the vectors is trusted, so that each is refused for its own reason", async () => {
  await expect(verify(signed(head, claims))).resolves.toBeDefined();
});

test("what a token says of its key does no harm beside a sound signature", async () => {
  const header = { ...head, jku: "https://evil.test/", jwk: attackerJwk };
  await expect(verify(signed(header, claims))).resolves.toBeDefined();
});

test("an issuer's algorithms are its own", async () => {
  const token = await rsa.sign(claims);
  await expect(verify(token)).resolves.toBeDefined();
  await expect(verify(token, { algorithms: ["ES256"] })).rejects.toMatchObject({
    code: "invalid_token",
  });
});

test("an issuer may be held to the type of RFC 9068", async () => {
  const strict = { tokenTypes: ["at+jwt"] };
  for (const typ of ["at+jwt", "AT+JWT", "application/at+jwt"]) {
    await expect(verify(await ec.sign(claims, { typ }), strict)).resolves.toBeDefined();
  }
  for (const header of [{ typ: "JWT" }, {}]) {
    await expect(verify(await ec.sign(claims, header), strict)).rejects.toMatchObject({
      code: "invalid_token",
    });
  }
});

test("one of several audiences is enough", async () => {
  await expect(verify(await ec.sign({ ...claims, aud: ["other", "api"] }))).resolves.toBeDefined();
});

test("an issuer whose tokens are for anybody is refused", () => {
  const issuers = [{ ...trusted, audience: undefined }];
  expect(() => createTokenVerifier({ issuers, clock })).toThrow("give an audience");
});

test("no refusal repeats the token", async () => {
  const token = await ec.sign({ ...claims, aud: "other" });
  const error = await verify(token).catch((refusal: unknown) => refusal);
  expect(String(error)).not.toContain(token.slice(0, 20));
});
