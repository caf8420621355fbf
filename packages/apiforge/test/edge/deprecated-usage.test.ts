import type { OpenStore } from "@apiforge/testing/contracts";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute } from "../../src/edge/index.ts";
import { storeFixtures } from "../store/fixtures.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

const deprecated = { at: "2025-06-01", sunsetAt: "2027-01-01" } as const;
const old = defineRoute({
  method: "GET",
  path: "/old/:id",
  deprecated,
  replies: { 200: z.object({}) },
  handler: () => ({ status: 200, body: {} }),
});
const open = defineRoute({
  method: "GET",
  path: "/open",
  auth: "none",
  version: "3",
  deprecated,
  replies: { 200: z.object({}) },
  handler: () => ({ status: 200, body: {} }),
});
const openNow = { ...open, version: "4", deprecated: undefined };

interface Usage {
  readonly route: string;
  readonly tenant: string;
  readonly consumer: string;
  readonly day: number;
  readonly requests: number;
  readonly last_at: number;
}

describe.for(storeFixtures)("usage of deprecated routes, $name", (fixture) => {
  let opened: OpenStore;
  let harness: Harness;
  let failures = 0;

  beforeEach(async () => {
    opened = await fixture.open({ migrations: [] });
    harness = await startHarness([old, open, openNow], {
      store: opened.store,
      versions: { default: "3" },
      metrics: {},
      usageStore: {
        transact: (label, actor, work) =>
          failures-- > 0
            ? Promise.reject(new Error("the store is away"))
            : harness.durable.transact(label, actor, work),
      },
    });
    failures = 0;
  });
  afterEach(async () => {
    await harness.stop();
    await opened[Symbol.asyncDispose]();
  });

  async function call(url: string, token?: { subject: string; tenant: string }): Promise<number> {
    const headers = token === undefined ? {} : { authorization: await harness.bearer(token) };
    return (await harness.edge.inject({ url, headers })).statusCode;
  }

  function written(): Promise<readonly Usage[]> {
    return harness.durable.read(
      "usage",
      (reader) => reader.sql<Usage>`
        select route, tenant, consumer, day, requests, last_at from forge_deprecated_usage
        order by route, tenant, consumer, day`,
    );
  }

  /** Lets the flush that the clock has begun come to its end. */
  async function pass(ms: number): Promise<void> {
    harness.clock.advance(ms);
    await expect.poll(async () => (await written()).length).toBeGreaterThan(0);
  }

  test("every caller has a row for each route and day, written with others' some time later", async () => {
    const ada = { subject: "usr_ada", tenant: "ten_1" };
    expect(await call("/old/1", ada)).toBe(200);
    expect(await call("/old/2", ada)).toBe(200);
    expect(await call("/old/1", { subject: "usr_bob", tenant: "ten_2" })).toBe(200);
    expect(await call("/open")).toBe(200);
    expect(await call("/old/1")).toBe(401);
    expect(await written()).toEqual([]);
    await pass(10_000);
    const at = Date.parse("2026-01-01T00:00:00Z");
    const same = { day: at / 86_400_000, last_at: at };
    expect(await written()).toEqual([
      { route: "GET /old/:id", tenant: "ten_1", consumer: "usr_ada", requests: 2, ...same },
      { route: "GET /old/:id", tenant: "ten_2", consumer: "usr_bob", requests: 1, ...same },
      { route: "GET /open 3", tenant: "public", consumer: "", requests: 1, ...same },
    ]);
  });

  test("what comes later is added, and another day is another row", async () => {
    await call("/open");
    await pass(10_000);
    await call("/open");
    harness.clock.advance(86_400_000);
    await call("/open");
    await harness.edge.close();
    const rows = await written();
    expect(rows.map(({ requests }) => requests)).toEqual([2, 1]);
    expect((rows[1]?.day ?? 0) - (rows[0]?.day ?? 0)).toBe(1);
  });

  test("a server that stops writes what it has, and what has failed is written with the next", async () => {
    failures = 1;
    await call("/open");
    harness.clock.advance(10_000);
    await expect.poll(() => harness.lines.length).toBe(1);
    await call("/open");
    await harness.edge.close();
    expect((await written()).map(({ requests }) => requests)).toEqual([2]);
  });

  test("metrics have each route once, whoever called it; versions of a route share its own", async () => {
    await call("/open");
    await call("/old/1");
    const { body } = await harness.edge.inject({ url: "/metrics" });
    const lines = body.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    const series = lines.map((line) => line.slice(0, line.lastIndexOf(" ")));
    expect(new Set(series).size).toBe(series.length);
    expect(lines).toContain(
      'apiforge_deprecated_requests_total{method="GET",route="/open",version="3"} 1',
    );
    expect(lines).toContain(
      'apiforge_deprecated_requests_total{method="GET",route="/old/:id",version=""} 1',
    );
    expect(body).not.toContain("usr_");
  });
});
