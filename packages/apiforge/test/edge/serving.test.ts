import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute, type Route } from "../../src/edge/index.ts";
import { parseTraceparent } from "../../src/edge/stages/correlate.ts";
import { startHarness } from "./edge-harness.ts";
import { thingRoutes } from "./thing-routes.ts";

const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

describe("health", () => {
  test("live answers whatever the store does", async () => {
    const harness = await startHarness([], { ready: () => Promise.reject(new Error("down")) });
    const live = await harness.edge.inject({ url: "/health/live" });
    expect([live.statusCode, live.body]).toEqual([200, '{"status":"live"}']);
    await harness.stop();
  });

  test("ready is 200 or 503 as the check says", async () => {
    let isUp = true;
    const harness = await startHarness([], {
      ready: () => (isUp ? Promise.resolve() : Promise.reject(new Error("db://secret"))),
    });
    expect((await harness.edge.inject({ url: "/health/ready" })).statusCode).toBe(200);
    isUp = false;
    const down = await harness.edge.inject({ url: "/health/ready" });
    expect([down.statusCode, down.body, down.headers["retry-after"]]).toEqual([
      503,
      '{"status":"unavailable"}',
      "1",
    ]);
    expect(harness.lines.at(-1)).toMatchObject({ level: "warn", message: "ready check failed" });
    await harness.stop();
  });

  test("ready is 503 when the check hangs", async () => {
    const asked = Promise.withResolvers<void>();
    const harness = await startHarness([], {
      ready: () => {
        asked.resolve();
        return new Promise<void>(() => {});
      },
    });
    const response = harness.edge.inject({ url: "/health/ready" });
    await asked.promise;
    harness.clock.advance(2_000);
    expect((await response).statusCode).toBe(503);
    await harness.stop();
  });
});

describe("correlation", () => {
  test.each([
    ["a", true],
    ["~!'\"{}", true],
    ["x".repeat(128), true],
    ["x".repeat(129), false],
    ["with space", false],
    ["ä", false],
    ["", false],
  ])("the request id %j is taken: %s", async (id, isTaken) => {
    const harness = await startHarness([]);
    const response = await harness.edge.inject({
      url: "/health/live",
      headers: { "x-request-id": id },
    });
    if (isTaken) expect(response.headers["x-request-id"]).toBe(id);
    else expect(response.headers["x-request-id"]).toMatch(/^req_[0-9A-Za-z]{22}$/);
    await harness.stop();
  });

  test.each([
    [trace, trace],
    [trace.replace("-01", "-ff"), trace.replace("-01", "-ff")],
    [`cc${trace.slice(2)}`, `cc${trace.slice(2)}`],
    [`cc${trace.slice(2)}-what-the-future-holds`, `cc${trace.slice(2)}`],
    [`cc${trace.slice(2)}x`, undefined],
    [`${trace}-more`, undefined],
    [`ff${trace.slice(2)}`, undefined],
    [trace.toUpperCase(), undefined],
    [trace.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0".repeat(32)), undefined],
    [trace.replace("00f067aa0ba902b7", "0".repeat(16)), undefined],
    [`${trace}, ${trace}`, undefined],
    ["", undefined],
    [undefined, undefined],
  ])("traceparent %s is read as %s", (header, expected) => {
    expect(parseTraceparent(header)).toBe(expected);
  });

  test("handlers see id and trace, and their log lines carry them", async () => {
    const route = defineRoute({
      method: "GET",
      path: "/traced",
      auth: "none",
      replies: { 200: z.object({ id: z.string(), traceparent: z.string().optional() }) },
      handler: ({ request }) => {
        request.log.info({ size: 1 }, "seen");
        request.log.warn({}, "again");
        return { status: 200, body: { id: request.id, traceparent: request.traceparent } };
      },
    });
    const harness = await startHarness([route]);
    const response = await harness.edge.inject({
      url: "/traced",
      headers: { "x-request-id": "r", traceparent: trace },
    });
    expect(response.json()).toEqual({ id: "r", traceparent: trace });
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    expect(harness.lines).toEqual([
      { level: "info", fields: { requestId: "r", traceId, size: 1 }, message: "seen" },
      { level: "warn", fields: { requestId: "r", traceId }, message: "again" },
    ]);
    await harness.stop();
  });
});

test("reading routes answer HEAD without a body, and may set their own caching", async () => {
  const harness = await startHarness(thingRoutes);
  const headers = { authorization: await harness.bearer() };
  const got = await harness.edge.inject({ url: "/outcomes/fine?count=3", headers });
  expect([got.statusCode, got.body]).toEqual([200, '{"count":3,"tenant":"ten_1"}']);
  expect(got.headers["cache-control"]).toBe("max-age=5");
  expect(got.headers).not.toHaveProperty("x-forge-seq");
  const head = await harness.edge.inject({
    method: "HEAD",
    url: "/outcomes/fine?count=3",
    headers,
  });
  expect([head.statusCode, head.body, head.headers["content-length"]]).toEqual([200, "", "28"]);
  await harness.stop();
});

test("a GET ignores an idempotency key", async () => {
  const harness = await startHarness(thingRoutes);
  const headers = { authorization: await harness.bearer(), "idempotency-key": "" };
  expect((await harness.edge.inject({ url: "/things", headers })).statusCode).toBe(200);
  await harness.stop();
});

test.each([
  ["application/json", "application/json"],
  ["*/*", "application/json"],
  ["application/problem+json", "application/problem+json"],
  ["application/json, application/problem+json", "application/problem+json"],
  ["application/json, application/problem+json;q=0.5", "application/json"],
  ["application/json;q=0.5, application/problem+json;q=0.9", "application/problem+json"],
  ["application/problem+json;q=0", "application/json"],
  ["application/problem+json;q=x", "application/json"],
  ["text/html, Application/Problem+JSON", "application/problem+json"],
])("Accept %s gets errors as %s", async (accept, type) => {
  const harness = await startHarness([]);
  const response = await harness.edge.inject({ url: "/nothing", headers: { accept } });
  expect(response.headers["content-type"]).toBe(`${type}; charset=utf-8`);
  await harness.stop();
});

describe("closing", () => {
  /** A route that answers when it is told to. */
  function held() {
    const entered = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const route: Route = defineRoute({
      method: "GET",
      path: "/held",
      auth: "none",
      replies: { 200: z.object({ ok: z.boolean() }) },
      handler: async () => {
        entered.resolve();
        await released.promise;
        return { status: 200, body: { ok: true } };
      },
    });
    return { route, entered: entered.promise, release: () => released.resolve() };
  }

  async function read(response: IncomingMessage): Promise<string> {
    let text = "";
    for await (const chunk of response) text += String(chunk);
    return text;
  }

  test("lets a request in flight finish, ends its connection and takes no other", async () => {
    const { route, entered, release } = held();
    const harness = await startHarness([route]);
    const { url } = await harness.edge.listen({ port: 0, host: "127.0.0.1" });
    const agent = new Agent({ keepAlive: true });
    const answered = once(get(`${url}/held`, { agent }), "response");
    await entered;
    const closed = harness.edge.close();
    expect(harness.edge.close()).toBe(closed);
    await setImmediate();
    const refused = connect(Number(new URL(url).port), "127.0.0.1");
    await expect(once(refused, "connect")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    release();
    const [response] = (await answered) as [IncomingMessage];
    expect(response.headers.connection).toBe("close");
    expect(await read(response)).toBe('{"ok":true}');
    await closed;
    agent.destroy();
    await harness.stop();
  });

  test("cuts off what does not finish in 10 s", async () => {
    const { route, entered, release } = held();
    const harness = await startHarness([route]);
    const { url } = await harness.edge.listen({ port: 0, host: "127.0.0.1" });
    const failed = once(get(`${url}/held`), "response");
    await entered;
    const closed = harness.edge.close();
    harness.clock.advance(10_000);
    await expect(failed).rejects.toMatchObject({ code: "ECONNRESET" });
    await closed;
    release();
    await harness.stop();
  });

  test("does not wait for idle connections", async () => {
    const harness = await startHarness([]);
    const { url } = await harness.edge.listen({ port: 0, host: "127.0.0.1" });
    const agent = new Agent({ keepAlive: true });
    const [response] = (await once(get(`${url}/health/live`, { agent }), "response")) as [
      IncomingMessage,
    ];
    await read(response);
    // The clock stands still: only an end by itself ends this.
    await expect(harness.edge.close()).resolves.toBeUndefined();
    agent.destroy();
    await harness.stop();
  });
});

test("two routes of one method and path are refused at the start", async () => {
  const [first] = thingRoutes;
  if (first === undefined) throw new Error("no routes");
  await expect(startHarness([first, first])).rejects.toThrow(/POST.*\/things/);
});
