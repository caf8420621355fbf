import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute, notFound } from "../../src/edge/index.ts";
import { allowedOrigin, corsPolicy } from "../../src/edge/cors/policy.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

const shop = "https://shop.example.com";
const origins = [shop, "https://admin.example.com"];

const products = defineRoute({
  method: "GET",
  path: "/products/:kind",
  cors: { origins, credentials: true },
  replies: { 200: z.object({}) },
  handler: ({ params }) => {
    if (params.kind === "absent") throw notFound();
    if (params.kind === "broken") throw new Error("secret");
    return { status: 200, body: {}, headers: { vary: "Accept" } };
  },
});
const open = defineRoute({
  method: "POST",
  path: "/open",
  auth: "none",
  cors: { origins: "*" },
  replies: { 200: z.object({}) },
  handler: () => ({ status: 200, body: {} }),
});
const common = defineRoute({
  method: "PUT",
  path: "/products/:kind",
  auth: "none",
  replies: { 200: z.object({}) },
  handler: () => ({ status: 200, body: {} }),
});
const closed = defineRoute({
  method: "GET",
  path: "/closed",
  auth: "none",
  cors: false,
  replies: { 200: z.object({}) },
  handler: () => ({ status: 200, body: {} }),
});

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness([products, open, common, closed], {
    cors: { origins: ["https://common.example.com"], maxAgeSeconds: 60 },
  });
});
afterAll(() => harness.stop());

function preflight(url: string, origin: string, method: string) {
  return harness.edge.inject({
    method: "OPTIONS",
    url,
    headers: { origin, "access-control-request-method": method },
  });
}

test.each([
  ["absent", 404, true],
  ["broken", 500, true],
  ["here", 200, true],
  ["here", 401, false],
])(
  "the answer about %s of status %i says that the page may read it",
  async (kind, status, knows) => {
    const authorization = knows ? { authorization: await harness.bearer() } : {};
    const answer = await harness.edge.inject({
      url: `/products/${kind}`,
      headers: { origin: shop, ...authorization },
    });
    expect(answer.statusCode).toBe(status);
    expect(answer.headers).toMatchObject({
      "access-control-allow-origin": shop,
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": expect.stringContaining("X-Request-Id"),
      vary: status === 200 ? "Accept, Origin" : "Origin",
    });
  },
);

test("a preflight is answered for the route of the method that it asks about, without a token", async () => {
  const answer = await preflight("/products/here?x=1", shop, "HEAD");
  expect(answer.statusCode).toBe(204);
  expect(answer.headers).toMatchObject({
    "access-control-allow-origin": shop,
    "access-control-allow-credentials": "true",
    "access-control-allow-methods": "GET, PUT",
    "access-control-allow-headers": expect.stringContaining("Idempotency-Key"),
    "access-control-max-age": "86400",
    vary: "Origin",
  });
  const other = await preflight("/products/here", "https://common.example.com", "PUT");
  expect(other.headers["access-control-max-age"]).toBe("60");
});

test.each([
  ["/products/here", "https://evil-shop.example.com", "GET"],
  ["/products/here", "https://shop.example.com.evil", "GET"],
  ["/products/here", "http://shop.example.com", "GET"],
  ["/products/here", "null", "GET"],
  ["/products/here", shop, "PUT"],
  ["/products/here", shop, "DELETE"],
  ["/products/here", shop, "NONE"],
  ["/closed", "https://common.example.com", "GET"],
])("a preflight of %s from %s for %s allows nothing", async (url, origin, method) => {
  const answer = await preflight(url, origin, method);
  expect(answer.statusCode).toBe(204);
  expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-"))).toEqual([]);
});

test("an answer to another origin, or to none, still varies by it", async () => {
  for (const headers of [{ origin: "https://evil.example" }, {}]) {
    const answer = await harness.edge.inject({ url: "/products/here", headers });
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
    expect(answer.headers.vary).toBe("Origin");
  }
});

test("callers of one route in turn are each told of their own origin", async () => {
  const [one, other] = origins;
  const asked = [one, other, one, "https://evil.example", one, one, undefined, other];
  const told: unknown[] = [];
  for (const origin of asked) {
    const headers = origin === undefined ? {} : { origin };
    const answer = await harness.edge.inject({ url: "/products/here", headers });
    told.push(answer.headers["access-control-allow-origin"]);
  }
  expect(told).toEqual([one, other, one, undefined, one, one, undefined, other]);
});

test("every origin is *, and what no route answers has the policy for all", async () => {
  const any = await harness.edge.inject({
    method: "POST",
    url: "/open",
    headers: { origin: shop },
  });
  expect(any.headers).toMatchObject({ "access-control-allow-origin": "*" });
  expect(any.headers.vary).toBeUndefined();
  const origin = "https://common.example.com";
  const unknown = await harness.edge.inject({ url: "/nothing", headers: { origin } });
  expect([unknown.statusCode, unknown.headers["access-control-allow-origin"]]).toEqual([
    404,
    origin,
  ]);
});

test("credentials for everybody, and what is no origin, are refused at start", () => {
  expect(() => corsPolicy({ origins: "*", credentials: true })).toThrow("by name");
  for (const origin of ["https://a.example/", "a.example", "https://A.example", "*"]) {
    expect(() => corsPolicy({ origins: [origin] })).toThrow("no origin");
  }
});

test("no origin that is not listed is ever allowed", () => {
  const policy = corsPolicy({ origins });
  const near = fc
    .tuple(
      fc.constantFrom("", "evil", ".", " ", "\t"),
      fc.constantFrom(...origins, "null"),
      fc.string(),
    )
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.oneof(fc.string(), near), (origin) => {
      expect(allowedOrigin(policy, origin)).toBe(origins.includes(origin) ? origin : undefined);
    }),
  );
});
