import type { OpenStore } from "@apiforge/testing/contracts";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute, type EdgeOptions } from "../../../src/edge/index.ts";
import { storeError } from "../../../src/store/index.ts";
import { sqliteMemory } from "../../store/sqlite-fixture.ts";
import { startHarness, type Harness } from "../edge-harness.ts";

let harness: Harness | undefined;
let open: OpenStore | undefined;
afterEach(async () => {
  await harness?.stop();
  await open?.[Symbol.asyncDispose]();
  harness = undefined;
  open = undefined;
});

const beginAt = Date.UTC(2030, 0, 31, 23, 59, 30);
const monthly = { name: "free", limit: 2, per: "month" } as const;
const minutely = { name: "burst", limit: 5, per: "1m", by: ["tenant", "route"] } as const;
const calls = { count: 0 };
const route = defineRoute({
  method: "GET",
  path: "/things",
  limits: [monthly, minutely],
  replies: { 200: z.object({}) },
  handler: () => {
    calls.count++;
    return { status: 200, body: {} };
  },
});

/** An edge whose clock and that of its store stand at the same instant. */
async function start(options: Partial<EdgeOptions> = {}) {
  open = await sqliteMemory.open();
  const { store } = open;
  harness = await startHarness([route], {
    leases: store.quotas,
    limits: { shown: true },
    ...options,
  });
  await open.advance(beginAt - open.clock.now());
  harness.clock.advance(beginAt - harness.clock.now());
  const { edge, bearer, clock } = harness;
  const advance = async (ms: number): Promise<void> => {
    await open?.advance(ms);
    clock.advance(ms);
  };
  const get = async (url: string, token: Parameters<typeof bearer>[0] = {}) =>
    edge.inject({ url, headers: { authorization: await bearer(token) } });
  return { get, advance };
}

test("a quota is told, refuses until its period ends, and begins anew with the next", async () => {
  const { get, advance } = await start();
  expect((await get("/things")).statusCode).toBe(200);
  const last = await get("/things");
  expect(last.headers).toMatchObject({
    "ratelimit-policy": '"free";q=2, "burst";q=5;w=60',
    "x-rate-limit-limit": "2",
    "x-rate-limit-remaining": "0",
    "x-rate-limit-reset": String(Date.UTC(2030, 1, 1) / 1_000),
  });
  const refused = await get("/things");
  expect(refused.statusCode).toBe(429);
  expect(refused.headers["retry-after"]).toBe("30");
  expect(refused.json()).toMatchObject({
    error: { code: "rate_limited", message: 'Limit "free" of 2 per month is reached' },
  });
  expect((await get("/things", { subject: "usr_2" })).statusCode).toBe(200);
  await advance(30_000);
  expect((await get("/things")).statusCode).toBe(200);
});

test("a limit that needs a store is refused where there is none", async () => {
  await expect(startHarness([route])).rejects.toThrow("Limit free: a quota needs a store");
});

test("while nobody can count, nothing is admitted", async () => {
  const lease = () => Promise.reject(storeError("store_unavailable", "The store is away."));
  const { get } = await start({ leases: { lease } });
  calls.count = 0;
  const answer = await get("/things");
  expect(answer.statusCode).toBe(503);
  expect(answer.headers["retry-after"]).toBeDefined();
  expect(calls.count).toBe(0);
});

test("GET /v1/limits/:subject tells what is left to a caller, and what was refused last", async () => {
  const { get } = await start();
  const look = () => get("/v1/limits/usr_1");
  expect((await look()).json()).toEqual({
    subject: "usr_1",
    limits: [{ policy: "free", limit: 2, per: "month", remaining: 2 }],
  });
  for (let n = 0; n < 3; n++) await get("/things");
  const told: unknown = (await look()).json();
  expect(told).toMatchObject({
    limits: [
      {
        policy: "free",
        remaining: 0,
        resetAt: "2030-02-01T00:00:00.000Z",
        lastRefusal: { at: new Date(beginAt).toISOString(), route: "GET /things" },
      },
    ],
  });
  // It has spent nothing.
  expect((await look()).json()).toEqual(told);
  const ofTenant = (await get("/v1/limits/ten_1")).json<{ limits: unknown[] }>();
  expect(ofTenant.limits).toContainEqual(
    expect.objectContaining({ policy: "burst", route: "GET /things", remaining: 3 }),
  );
});

test("limits are shown to admins, and of their own tenant only", async () => {
  const { get } = await start();
  for (let n = 0; n < 3; n++) await get("/things");
  expect((await get("/v1/limits/usr_1", { role: "member" })).statusCode).toBe(403);
  const other = await get("/v1/limits/usr_1", { tenant: "ten_2" });
  expect(other.json()).toMatchObject({ limits: [{ policy: "free", remaining: 2 }] });
  expect(other.json()).not.toHaveProperty("limits.0.lastRefusal");
});
