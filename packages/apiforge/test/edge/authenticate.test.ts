import { createHmac, createSign, generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  exportJWK,
  exportSPKI,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWTHeaderParameters,
  type JWTPayload,
} from "jose";
import { beforeAll, describe, expect, test } from "vitest";

import {
  createTokenVerifier,
  type TokenVerifier,
  type TokenVerifierOptions,
} from "../../src/edge/index.ts";
import { ManualClock, startHarness } from "./edge-harness.ts";
import { thingRoutes } from "./thing-routes.ts";

type Fetch = NonNullable<TokenVerifierOptions["fetch"]>;

const issuer = "https://issuer.test";
const audience = "api";
const clock = new ManualClock();
const nowSeconds = clock.now() / 1_000;
const claims = {
  iss: issuer,
  aud: audience,
  sub: "usr_1",
  tenant: "ten_1",
  role: "admin",
  exp: nowSeconds + 60,
};

const sharedSecret = "a secret that a careless issuer publishes";
const algorithms = ["EdDSA", "Ed25519", "ES256", "ES384", "RS256", "PS256"];
const keys = new Map<string, CryptoKey>();
let verifier: TokenVerifier;
let weakRsaKey: KeyObject;
let rsaPublicPem: string;
let publicKeys: object[];

beforeAll(async () => {
  publicKeys = [];
  for (const alg of algorithms) {
    const { publicKey, privateKey } = await generateKeyPair(alg);
    keys.set(alg, privateKey);
    publicKeys.push({ ...(await exportJWK(publicKey)), kid: alg, alg, use: "sig" });
    if (alg === "RS256") rsaPublicPem = await exportSPKI(publicKey);
  }
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
  weakRsaKey = privateKey;
  publicKeys.push({ ...(await exportJWK(publicKey)), kid: "weak", alg: "RS256", use: "sig" });
  const shared = Buffer.from(sharedSecret).toString("base64url");
  publicKeys.push({ kty: "oct", k: shared, kid: "shared", alg: "HS256" });
  verifier = createTokenVerifier({
    issuers: [{ issuer, audience, jwks: { keys: publicKeys } }],
    clock,
  });
});

function keyOf(alg: string): CryptoKey {
  const key = keys.get(alg);
  if (key === undefined) throw new Error(`no key for ${alg}`);
  return key;
}

async function sign(
  payload: JWTPayload,
  header: Partial<JWTHeaderParameters> = {},
  alg = "ES256",
): Promise<string> {
  return new SignJWT(payload).setProtectedHeader({ alg, kid: alg, ...header }).sign(keyOf(alg));
}

function segment(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function hmacToken(alg: string, secret: string, kid = "RS256"): string {
  const input = `${segment({ alg, kid })}.${segment(claims)}`;
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
}

function weaklySigned(): string {
  const input = `${segment({ alg: "RS256", kid: "weak" })}.${segment(claims)}`;
  return `${input}.${createSign("sha256").update(input).sign(weakRsaKey, "base64url")}`;
}

function without(name: keyof typeof claims): JWTPayload {
  return Object.fromEntries(Object.entries(claims).filter(([claim]) => claim !== name));
}

/** The same token with the bytes of its signature replaced. */
async function withSignature(bytes: Buffer): Promise<string> {
  const [header, payload] = (await sign(claims)).split(".");
  return `${header}.${payload}.${bytes.toString("base64url")}`;
}

test.each(algorithms)("a token signed with %s speaks for its principal", async (alg) => {
  const token = await sign({ ...claims, email: "a@b.c", scope: "read  write" }, {}, alg);
  const { principal, expiresAt } = await verifier.verify(token);
  expect(principal).toMatchObject({
    subject: "usr_1",
    tenant: "ten_1",
    role: "admin",
    email: "a@b.c",
    scopes: ["read", "write"],
  });
  expect(principal.claims).toMatchObject({ iss: issuer });
  expect(expiresAt).toBe(claims.exp * 1_000);
});

const refused: [string, string, () => Promise<string> | string][] = [
  ["nothing", "invalid_token", () => ""],
  ["three dots", "invalid_token", () => "..."],
  ["alg none", "invalid_token", () => `${segment({ alg: "none" })}.${segment(claims)}.`],
  ["alg None", "invalid_token", () => `${segment({ alg: "None" })}.${segment(claims)}.`],
  ["no alg", "invalid_token", () => `${segment({})}.${segment(claims)}.AAAA`],
  ["HS256 over the public key", "invalid_token", () => hmacToken("HS256", rsaPublicPem)],
  ["HS256 over nothing", "invalid_token", () => hmacToken("HS256", "")],
  [
    "HS256 over a secret in the key set",
    "invalid_token",
    () => hmacToken("HS256", sharedSecret, "shared"),
  ],
  ["an empty signature", "invalid_token", () => withSignature(Buffer.alloc(0))],
  ["an ECDSA signature of zeros", "invalid_token", () => withSignature(Buffer.alloc(64))],
  ["a signature that is too long", "invalid_token", () => withSignature(Buffer.alloc(65, 1))],
  ["another key's signature", "invalid_token", async () => sign(claims, { kid: "ES384" }, "ES256")],
  ["an unknown kid", "invalid_token", () => sign(claims, { kid: "nobody" })],
  ["a kid that is a path", "invalid_token", () => sign(claims, { kid: "../../etc/passwd" })],
  ["a weak RSA key", "invalid_token", () => weaklySigned()],
  [
    "an unknown crit",
    "invalid_token",
    async () =>
      `${segment({ alg: "ES256", kid: "ES256", crit: ["x"], x: 1 })}.${segment(claims)}.${(await sign(claims)).split(".")[2]}`,
  ],
  [
    "a changed payload",
    "invalid_token",
    async () =>
      (await sign(claims)).replace(/\.[^.]*\./, `.${segment({ ...claims, role: "root" })}.`),
  ],
  ["white space inside", "invalid_token", async () => (await sign(claims)).replace(".", ". ")],
  ["padding", "invalid_token", async () => `${await sign(claims)}=`],
  ["more than 8 KiB", "invalid_token", () => sign({ ...claims, blob: "x".repeat(9_000) })],
  ["another issuer", "invalid_token", () => sign({ ...claims, iss: "https://evil.test" })],
  ["no issuer", "invalid_token", () => sign(without("iss"))],
  ["another audience", "invalid_token", () => sign({ ...claims, aud: "other" })],
  ["no audience", "invalid_token", () => sign(without("aud"))],
  ["no exp", "invalid_token", () => sign(without("exp"))],
  [
    "an exp that is text",
    "invalid_token",
    () => sign({ ...claims, exp: String(claims.exp) } as unknown as JWTPayload),
  ],
  ["an exp that has passed", "token_expired", () => sign({ ...claims, exp: nowSeconds - 6 })],
  ["an nbf to come", "invalid_token", () => sign({ ...claims, nbf: nowSeconds + 60 })],
  ["no subject", "invalid_token", () => sign(without("sub"))],
  ["an empty subject", "invalid_token", () => sign({ ...claims, sub: "" })],
  ["no tenant", "invalid_token", () => sign(without("tenant"))],
  ["a tenant that is no text", "invalid_token", () => sign({ ...claims, tenant: { $ne: 1 } })],
];

test.each(refused)("a token with %s is refused (%s)", async (_what, code, make) => {
  await expect(verifier.verify(await make())).rejects.toMatchObject({ code, status: 401 });
});

test("a token is accepted within the tolerance of its exp", async () => {
  await expect(
    verifier.verify(await sign({ ...claims, exp: nowSeconds - 4 })),
  ).resolves.toBeDefined();
});

test("a role or scope that is no text is none", async () => {
  const { principal } = await verifier.verify(await sign({ ...claims, role: ["admin"], scope: 7 }));
  expect([principal.role, principal.scopes]).toEqual(["", []]);
});

describe("keys at an address", () => {
  const jwks = new URL("https://issuer.test/jwks.json");

  function remote(fetch: Fetch): TokenVerifier {
    return createTokenVerifier({ issuers: [{ issuer, audience, jwks }], clock, fetch });
  }

  test("are fetched once for many tokens", async () => {
    let fetches = 0;
    const remoteVerifier = remote(async () => {
      fetches++;
      return Response.json({ keys: publicKeys });
    });
    await remoteVerifier.verify(await sign(claims));
    await remoteVerifier.verify(await sign({ ...claims, sub: "usr_2" }));
    expect(fetches).toBe(1);
  });

  test("that cannot be had are no fault of the token", async () => {
    const broken: Fetch[] = [
      () => Promise.reject(new TypeError("fetch failed")),
      async () => new Response("no", { status: 500 }),
      async () => new Response("no JSON"),
      async () => Response.json({ keys: "none" }),
    ];
    for (const fetch of broken) {
      await expect(remote(fetch).verify(await sign(claims))).rejects.toMatchObject({
        code: "issuer_unavailable",
        status: 503,
      });
    }
  });

  test("are not fetched without TLS", () => {
    const insecure = { issuer, audience, jwks: new URL("http://issuer.test/jwks.json") };
    expect(() => createTokenVerifier({ issuers: [insecure], clock })).toThrow(TypeError);
  });
});

describe("the memory of verified tokens", () => {
  async function start() {
    let verifications = 0;
    const tokenClock = new ManualClock();
    const harness = await startHarness(thingRoutes, {
      clock: tokenClock,
      verifier: {
        verify: async (token) => {
          verifications++;
          if (token === "bad") throw Object.assign(new Error("no"), { code: "x" });
          const principal = { subject: token, tenant: "ten_1", role: "admin", scopes: [] };
          return {
            principal,
            expiresAt: tokenClock.now() + (token === "short" ? 10_000 : 3_600_000),
          };
        },
      },
    });
    const ask = (token: string) =>
      harness.edge.inject({ url: "/things", headers: { authorization: `Bearer ${token}` } });
    return { harness, tokenClock, ask, count: () => verifications };
  }

  test("lasts 300 s", async () => {
    const { harness, tokenClock, ask, count } = await start();
    await ask("long");
    tokenClock.advance(299_999);
    await ask("long");
    expect(count()).toBe(1);
    tokenClock.advance(1);
    await ask("long");
    expect(count()).toBe(2);
    await harness.stop();
  });

  test("ends with the token", async () => {
    const { harness, tokenClock, ask, count } = await start();
    await ask("short");
    tokenClock.advance(10_000);
    await ask("short");
    expect(count()).toBe(2);
    await harness.stop();
  });

  test("does not hold refusals", async () => {
    const { harness, ask, count } = await start();
    await ask("bad");
    await ask("bad");
    expect(count()).toBe(2);
    await harness.stop();
  });
});

test("the scheme's case does not matter, a second credential does", async () => {
  const harness = await startHarness(thingRoutes);
  const bearer = await harness.bearer();
  for (const [authorization, status] of [
    [bearer.replace("Bearer", "bearer"), 200],
    [bearer.replace("Bearer ", "BEARER   "), 200],
    [bearer.replace(" ", ""), 401],
    [`${bearer} ${bearer}`, 401],
    [`${bearer}, ${bearer}`, 401],
  ] as const) {
    const response = await harness.edge.inject({ url: "/things", headers: { authorization } });
    expect([authorization.slice(0, 8), response.statusCode]).toEqual([
      authorization.slice(0, 8),
      status,
    ]);
  }
  const inQuery = await harness.edge.inject({
    url: "/things",
    query: { access_token: bearer.slice(7) },
  });
  expect(inQuery.statusCode).toBe(401);
  await harness.stop();
});
