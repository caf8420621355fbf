import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { exportSPKI, generateKeyPair, importJWK, SignJWT, type JWK, type JWTPayload } from "jose";

const issuer = "https://dev.apiforge.local";
const audience = "apiforge";
const claims = {
  sub: "usr_9f3k2m",
  email: "priya@apiforge.dev",
  tenant: "ten_apiforge",
  role: "admin",
};

const { tenant: _tenant, ...withoutTenant } = claims;
const { sub: _sub, ...withoutSubject } = claims;

interface Signing {
  readonly issuer: string;
  readonly audience: string;
  /** Seconds from now. */
  readonly expiresIn: number;
  readonly payload: JWTPayload;
}

const good: Signing = { issuer, audience, expiresIn: 3_600, payload: claims };

/** What differs from a good token, by what is wrong with it. */
const variants = {
  priya: good,
  /** Another user of priya's tenant. */
  sam: { ...good, payload: { ...claims, sub: "usr_sam", email: "sam@apiforge.dev" } },
  /** A user of another tenant with the same subject. */
  stranger: { ...good, payload: { ...claims, tenant: "ten_other", email: "eve@other.example" } },
  /** A token that carries no address. */
  nameless: { ...good, payload: { sub: "usr_nameless", tenant: "ten_nameless", role: "member" } },
  expired: { ...good, expiresIn: -3_600 },
  "wrong audience": { ...good, audience: "another-api" },
  "wrong issuer": { ...good, issuer: "https://issuer.example" },
  "without tenant": { ...good, payload: withoutTenant },
  "without subject": { ...good, payload: withoutSubject },
  "not valid yet": { ...good, payload: { ...claims, nbf: epochSeconds() + 3_600 } },
} as const satisfies Readonly<Record<string, Signing>>;

/** Tokens that are built by hand. */
const forgeries = {
  garbage: () => Promise.resolve("not.a.token"),
  "alg none": () => Promise.resolve(unsigned()),
  "HS256 with the public key as PEM": async (jwk: JWK) => {
    const { d: _, ...publicJwk } = jwk;
    const key = await importJWK(publicJwk, "ES256", { extractable: true });
    if (key instanceof Uint8Array) throw new TypeError("The development key is symmetric");
    return signSymmetric(jwk, new TextEncoder().encode(await exportSPKI(key)));
  },
  "HS256 with the public key as JWK": (jwk: JWK) => {
    const { d: _, ...publicJwk } = jwk;
    return signSymmetric(jwk, new TextEncoder().encode(JSON.stringify(publicJwk)));
  },
  "another key under the known kid": async (jwk: JWK) => {
    const { privateKey } = await generateKeyPair("ES256");
    return jwt(good)
      .setProtectedHeader({ alg: "ES256", kid: jwk.kid ?? "" })
      .sign(privateKey);
  },
  "without expiry": async (jwk: JWK) => {
    const token = new SignJWT({ ...claims }).setIssuer(issuer).setAudience(audience);
    return token.setProtectedHeader(headerOf(jwk)).sign(await importJWK(jwk, "ES256"));
  },
  "altered payload": async (jwk: JWK) => {
    const [head, , signature] = (await sign(good, jwk)).split(".");
    return [head, encode(payloadOf({ ...claims, tenant: "ten_other" })), signature].join(".");
  },
} as const;

/** Names of tokens: a user, or what is wrong with one of priya's. */
export type TokenName = keyof typeof variants | keyof typeof forgeries;

/** Makes a token with the development key of a server's data folder. */
export async function makeToken(name: TokenName, dataDir: string): Promise<string> {
  const path = join(dataDir, "keys", "dev-issuer.jwk.json");
  const jwk = JSON.parse(await readFile(path, "utf8")) as JWK;
  return name in forgeries
    ? forgeries[name as keyof typeof forgeries](jwk)
    : sign(variants[name as keyof typeof variants], jwk);
}

async function sign(signing: Signing, jwk: JWK): Promise<string> {
  return jwt(signing)
    .setProtectedHeader(headerOf(jwk))
    .sign(await importJWK(jwk, "ES256"));
}

function jwt(signing: Signing): SignJWT {
  return new SignJWT(signing.payload)
    .setIssuer(signing.issuer)
    .setAudience(signing.audience)
    .setExpirationTime(epochSeconds() + signing.expiresIn);
}

function signSymmetric(jwk: JWK, secret: Uint8Array): Promise<string> {
  return jwt(good)
    .setProtectedHeader({ alg: "HS256", kid: jwk.kid ?? "" })
    .sign(secret);
}

function unsigned(): string {
  return `${encode({ alg: "none", typ: "JWT" })}.${encode(payloadOf(claims))}.`;
}

function payloadOf(own: JWTPayload): JWTPayload {
  return { ...own, iss: issuer, aud: audience, exp: epochSeconds() + 3_600 };
}

function headerOf(jwk: JWK): { alg: string; kid: string } {
  return { alg: "ES256", kid: jwk.kid ?? "" };
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function epochSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}
