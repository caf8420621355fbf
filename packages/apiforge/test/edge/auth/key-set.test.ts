import { generateKeyPairSync } from "node:crypto";
import { exportJWK, type JWK } from "jose";
import { beforeAll, beforeEach, expect, test } from "vitest";

import { createTokenVerifier, type TokenVerifier } from "../../../src/edge/index.ts";
import { ManualClock } from "../edge-harness.ts";
import { signingKey, type SigningKey } from "./token-fixture.ts";

const issuer = "https://issuer.test";
const jwks = new URL(`${issuer}/jwks.json`);
let first: SigningKey;
let second: SigningKey;
let clock: ManualClock;
let published: readonly JWK[];
let fetches: number;
let answer: () => Response | Promise<Response>;
let verifier: TokenVerifier;

beforeAll(async () => {
  [first, second] = await Promise.all([signingKey("ES256", "1"), signingKey("ES256", "2")]);
});

beforeEach(() => {
  clock = new ManualClock();
  published = [first.jwk];
  fetches = 0;
  answer = () => Response.json({ keys: published });
  verifier = createTokenVerifier({
    issuers: [{ issuer, audience: "api", jwks }],
    clock,
    fetch: async () => {
      fetches++;
      return answer();
    },
  });
});

function ask(key: SigningKey, header = {}): Promise<unknown> {
  const exp = Math.ceil(clock.now() / 1_000) + 60;
  return key
    .sign({ iss: issuer, aud: "api", sub: "s", tenant: "t", exp }, header)
    .then((token) => verifier.verify(token));
}

const unknownKey = { code: "invalid_token" };
const unavailable = { code: "issuer_unavailable" };

test("a hundred tokens at once are one fetch", async () => {
  await Promise.all(Array.from({ length: 100 }, () => ask(first)));
  expect(fetches).toBe(1);
});

test("a rotated key is found by one more fetch, and unknown ones cost one in 30 s", async () => {
  await ask(first);
  clock.advance(30_000);
  published = [first.jwk, second.jwk];
  await ask(second);
  expect(fetches).toBe(2);
  for (let index = 0; index < 20; index++) {
    await expect(ask(second, { kid: `nobody-${index}` })).rejects.toMatchObject(unknownKey);
  }
  expect(fetches).toBe(2);
  clock.advance(30_000);
  await expect(ask(second, { kid: "nobody" })).rejects.toMatchObject(unknownKey);
  expect(fetches).toBe(3);
});

test("the last good set is used while the issuer is away, for a day", async () => {
  await ask(first);
  answer = () => Promise.reject(new TypeError("fetch failed"));
  clock.advance(3_600_000);
  await ask(first);
  await ask(first);
  expect(fetches).toBe(2);
  clock.advance(82_800_000);
  await expect(ask(first)).rejects.toMatchObject(unavailable);
});

test("a key that the issuer has withdrawn is refused once its set is fetched again", async () => {
  await ask(first);
  published = [second.jwk];
  clock.advance(600_000);
  await expect(ask(first)).rejects.toMatchObject(unknownKey);
});

test.each([
  ["max-age=1", 60_000],
  ["public, max-age=120", 120_000],
  ["max-age=999999", 3_600_000],
  ["no-cache", 600_000],
])("with Cache-Control %s a set is kept for %d ms", async (cacheControl, keptMs) => {
  answer = () => Response.json({ keys: published }, { headers: { "cache-control": cacheControl } });
  await ask(first);
  clock.advance(keptMs - 1);
  await ask(first);
  expect(fetches).toBe(1);
  clock.advance(1);
  await ask(first);
  expect(fetches).toBe(2);
});

test.each<[string, () => Response]>([
  ["a redirect", () => new Response(null, { status: 302, headers: { location: "http://a" } })],
  ["too much", () => new Response(`{"keys":[],"x":"${"x".repeat(300_000)}"}`)],
  ["keys that are none", () => Response.json({ keys: [1] })],
])("%s is no key set", async (_what, reply) => {
  answer = reply;
  await expect(ask(first)).rejects.toMatchObject(unavailable);
});

test("an issuer that does not answer is given up after 5 s", async () => {
  const hanging = createTokenVerifier({
    issuers: [{ issuer, audience: "api", jwks }],
    clock,
    fetch: (_url, { signal }) => {
      const { promise, reject } = Promise.withResolvers<Response>();
      signal.addEventListener("abort", () => reject(new Error("aborted")));
      return promise;
    },
  });
  const exp = Math.ceil(clock.now() / 1_000) + 60;
  const token = await first.sign({ iss: issuer, aud: "api", sub: "s", tenant: "t", exp });
  const asked = hanging.verify(token).catch((error: unknown) => error);
  await Promise.resolve();
  clock.advance(5_000);
  expect(await asked).toMatchObject(unavailable);
});

test("RSA below 2048 bits is no key", async () => {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 1_024 });
  published = [{ ...(await exportJWK(publicKey)), kid: "1", alg: "RS256" }];
  await expect(ask(first)).rejects.toMatchObject(unknownKey);
});
