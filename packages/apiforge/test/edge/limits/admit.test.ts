import { afterEach, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute, notFound, type EdgeOptions, type Route } from "../../../src/edge/index.ts";
import { startHarness, type Harness } from "../edge-harness.ts";

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

async function start(routes: readonly Route[], options: Partial<EdgeOptions> = {}) {
  harness = await startHarness(routes, options);
  return harness;
}

const shape = z.object({});
const tiers = defineRoute({
  method: "GET",
  path: "/slack/messages",
  limits: [{ name: "tier-2", limit: 20, per: "1m", by: ["credential", "tenant", "route"] }],
  replies: { 200: shape },
  handler: () => ({ status: 200, body: {} }),
});
const open = defineRoute({
  method: "GET",
  path: "/open/:id",
  auth: "none",
  limits: [{ name: "open", limit: 2, per: "10s" }],
  replies: { 200: shape },
  handler: ({ params }) => {
    if (params.id === "missing") throw notFound();
    return { status: 200, body: {} };
  },
});

function limitHeaders(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const wanted = (name: string): boolean => name.includes("rate") || name === "retry-after";
  return Object.fromEntries(Object.entries(headers).filter(([name]) => wanted(name)));
}

test("N at once are admitted and told what is left, the next is refused until the window allows", async () => {
  const { edge, bearer, clock } = await start([tiers]);
  const headers = { authorization: await bearer() };
  const get = () => edge.inject({ url: "/slack/messages", headers });
  const resetAt = clock.now() / 1_000 + 60;

  const answers = await Promise.all(Array.from({ length: 20 }, get));
  expect(answers.map(({ statusCode }) => statusCode)).toEqual(
    Array.from({ length: 20 }, () => 200),
  );
  // Tokens are verified side by side: any of them may have come first.
  const first = answers.find(({ headers: { ratelimit } }) => String(ratelimit).includes("r=19"));
  expect(limitHeaders(first?.headers ?? {})).toEqual({
    "ratelimit-policy": '"tier-2";q=20;w=60',
    ratelimit: '"tier-2";r=19;t=60',
    "x-rate-limit-limit": "20",
    "x-rate-limit-remaining": "19",
    "x-rate-limit-reset": String(resetAt),
  });

  const refused = await get();
  expect(refused.statusCode).toBe(429);
  expect(refused.json()).toMatchObject({
    error: {
      type: "rate_limit_error",
      code: "rate_limited",
      message: 'Limit "tier-2" of 20 per 1m is reached',
    },
  });
  expect(limitHeaders(refused.headers)).toMatchObject({
    ratelimit: '"tier-2";r=0;t=60',
    "x-rate-limit-remaining": "0",
    "x-rate-limit-reset": String(resetAt),
    "retry-after": "60",
  });

  clock.advance(59_999);
  expect((await get()).statusCode).toBe(429);
  clock.advance(1);
  expect((await get()).statusCode).toBe(200);
});

test("callers, tenants and routes are counted apart", async () => {
  const { edge, bearer } = await start([open]);
  const from = (remoteAddress: string) => edge.inject({ url: "/open/1", remoteAddress });
  for (const address of ["192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::2"]) {
    expect((await from(address)).statusCode).toBe(200);
  }
  expect((await from("::ffff:192.0.2.1")).statusCode).toBe(429);
  expect((await from("2001:db8:0:0:ffff::9")).statusCode).toBe(429);
  expect((await from("2001:db8:0:1::1")).statusCode).toBe(200);
  expect(await bearer()).toContain("Bearer");
});

test("errors of a limited route tell the limit too, and count", async () => {
  const { edge } = await start([open]);
  const missing = await edge.inject({ url: "/open/missing" });
  expect(missing.statusCode).toBe(404);
  expect(limitHeaders(missing.headers)).toMatchObject({ ratelimit: '"open";r=1;t=10' });
});

test("a limit of the server counts every declared route, and neither health nor what no route answers", async () => {
  const { edge } = await start([open], {
    limits: { limits: [{ name: "all", limit: 1, per: "10s" }] },
  });
  for (const url of ["/nowhere", "/health/live", "/health/live"]) {
    expect((await edge.inject({ url })).statusCode).not.toBe(429);
  }
  expect((await edge.inject({ url: "/open/1" })).headers["ratelimit"]).toBe(
    '"all";r=0;t=10, "open";r=1;t=10',
  );
  const refused = await edge.inject({ url: "/open/1" });
  expect(refused.statusCode).toBe(429);
  expect(refused.headers["ratelimit"]).toBe('"all";r=0;t=10, "open";r=1;t=10');
});

test("a refused request spends nothing of any limit", async () => {
  const route = defineRoute({
    method: "GET",
    path: "/both",
    limits: [
      { name: "wide", limit: 10, per: "1m", by: "address" },
      { name: "narrow", limit: 1, per: "10s" },
      { name: "tenant", limit: 5, per: "1m", by: "tenant" },
    ],
    replies: { 200: shape },
    handler: () => ({ status: 200, body: {} }),
  });
  const { edge, bearer, clock } = await start([route]);
  const headers = { authorization: await bearer() };
  const get = () => edge.inject({ url: "/both", headers });
  expect((await get()).headers["ratelimit"]).toBe(
    '"wide";r=9;t=60, "narrow";r=0;t=10, "tenant";r=4;t=60',
  );
  for (let n = 0; n < 20; n++) {
    const refused = await get();
    expect(refused.statusCode).toBe(429);
    expect(refused.headers["ratelimit"]).toBe(
      '"wide";r=9;t=60, "narrow";r=0;t=10, "tenant";r=4;t=60',
    );
  }
  clock.advance(10_000);
  expect((await get()).headers["ratelimit"]).toBe(
    '"wide";r=8;t=50, "narrow";r=0;t=10, "tenant";r=3;t=50',
  );
});

test("an address that failed to prove itself too often is refused before its token is looked at", async () => {
  const { edge, bearer } = await start([tiers], {
    limits: { failedAuthentications: { limit: 2, per: "1m" } },
  });
  const url = "/slack/messages";
  const bad = { authorization: "Bearer nonsense" };
  const good = { authorization: await bearer() };
  for (let n = 0; n < 2; n++)
    expect((await edge.inject({ url, headers: bad })).statusCode).toBe(401);
  const refused = await edge.inject({ url, headers: good });
  expect(refused.statusCode).toBe(429);
  expect(refused.headers["ratelimit"]).toBe('"failed-authentications";r=0;t=60');
  const other = await edge.inject({ url, headers: good, remoteAddress: "192.0.2.7" });
  expect(other.statusCode).toBe(200);
});

test("a plan gives its callers its own limits; unknown plans have the default one's", async () => {
  const route = defineRoute({
    method: "GET",
    path: "/planned",
    replies: { 200: shape },
    handler: () => ({ status: 200, body: {} }),
  });
  const planOf: Record<string, string> = { a: "pro", b: "gone" };
  const verifier: EdgeOptions["verifier"] = {
    verify: async (token) => ({
      principal: {
        subject: token,
        tenant: "ten_1",
        role: "",
        scopes: [],
        ...(planOf[token] && { plan: planOf[token] }),
      },
      expiresAt: Number.MAX_SAFE_INTEGER,
    }),
  };
  const { edge } = await start([route], {
    verifier,
    limits: {
      plans: {
        default: [{ name: "free", limit: 1, per: "1m" }],
        pro: [{ name: "pro", limit: 100, per: "1m" }],
      },
    },
  });
  const left = async (token: string) => {
    const answer = await edge.inject({
      url: "/planned",
      headers: { authorization: `Bearer ${token}` },
    });
    return answer.headers["ratelimit"];
  };
  expect(await left("a")).toBe('"pro";r=99;t=60');
  expect(await left("b")).toBe('"free";r=0;t=60');
  expect(await left("c")).toBe('"free";r=0;t=60');
});

test("limits that cannot work are refused at the start", async () => {
  const withLimit = (limit: object) =>
    defineRoute({
      method: "GET",
      path: "/x",
      auth: "none",
      limits: [{ name: "x", limit: 1, per: "1s", ...limit }],
      replies: { 200: shape },
      handler: () => ({ status: 200, body: {} }),
    });
  expect(() => withLimit({ name: "Not a name" })).toThrow(/a name is/);
  expect(() => withLimit({ limit: 0 })).toThrow(/whole number from 1/);
  expect(() => withLimit({ per: "10ms" })).toThrow(/per is 1s to 30d/);
  expect(() => withLimit({ by: "tenant" })).toThrow(/counts callers/);
  await expect(
    start([open], { limits: { limits: [{ name: "open", limit: 3, per: "10s" }] } }),
  ).rejects.toThrow(/two different limits named open/);
});
