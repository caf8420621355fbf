import { afterEach, describe, expect, test } from "vitest";
import fc from "fast-check";

import type { MetricsOptions } from "../../../src/edge/index.ts";
import { renderMetrics } from "../../../src/edge/evidence/metrics/exposition.ts";
import { RequestMetrics } from "../../../src/edge/evidence/metrics/request-metrics.ts";
import { startHarness, type Harness } from "../edge-harness.ts";
import { thingRoutes } from "../thing-routes.ts";

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

async function start(metrics: MetricsOptions = {}, stopwatch = () => 0): Promise<Harness> {
  harness = await startHarness(thingRoutes, { metrics, stopwatch });
  return harness;
}

const secret = "m".repeat(32);

describe("who may read /metrics", () => {
  test("without a token, only this machine, and no proxy on it", async () => {
    const { edge } = await start();
    const read = async (remoteAddress: string, headers = {}) =>
      (await edge.inject({ url: "/metrics", remoteAddress, headers })).statusCode;
    expect(await read("127.0.0.1")).toBe(200);
    expect(await read("::1")).toBe(200);
    expect(await read("::ffff:127.0.0.1")).toBe(200);
    expect(await read("10.0.0.7")).toBe(403);
    expect(await read("127.0.0.1", { "x-forwarded-for": "10.0.0.7" })).toBe(403);
    expect(await read("127.0.0.1", { forwarded: "for=10.0.0.7" })).toBe(403);
  });

  test("with a token, whoever sends it, and nobody else", async () => {
    const { edge } = await start({ token: secret });
    const read = async (authorization?: string) =>
      edge.inject({
        url: "/metrics",
        remoteAddress: "10.0.0.7",
        headers: authorization === undefined ? {} : { authorization },
      });
    expect((await read(`Bearer ${secret}`)).statusCode).toBe(200);
    const refused = await read("Bearer wrong");
    expect([refused.statusCode, refused.json().error.code]).toEqual([401, "invalid_token"]);
    expect((await read()).json().error.code).toBe("missing_token");
    const local = await edge.inject({ url: "/metrics", remoteAddress: "127.0.0.1" });
    expect(local.statusCode).toBe(401);
  });

  test("nobody where metrics are off", async () => {
    harness = await startHarness(thingRoutes);
    expect((await harness.edge.inject({ url: "/metrics" })).statusCode).toBe(404);
  });
});

test("requests are counted by method, route template and class of status", async () => {
  let nowMs = 0;
  const { edge, bearer } = await start({}, () => (nowMs += 3));
  const headers = { authorization: await bearer() };
  await edge.inject({ method: "POST", url: "/things", headers, payload: { name: "a" } });
  for (const id of ["thing_a", "thing_b", "thing_c"])
    await edge.inject({ url: `/things/${id}`, headers });
  for (let n = 0; n < 50; n++) await edge.inject({ url: `/made-up-${n}` });
  await edge.inject({ url: "/health/live" });
  const text = (await edge.inject({ url: "/metrics" })).body;
  const lines = text.split("\n");
  expect(lines).toEqual(
    expect.arrayContaining([
      "# TYPE apiforge_http_requests_total counter",
      'apiforge_http_requests_total{method="POST",route="/things",status="2xx"} 1',
      'apiforge_http_requests_total{method="GET",route="/things/:id",status="2xx"} 1',
      'apiforge_http_requests_total{method="GET",route="/things/:id",status="4xx"} 2',
      'apiforge_http_requests_total{method="",route="",status="4xx"} 50',
      'apiforge_http_request_duration_seconds_bucket{method="GET",route="/things/:id",le="0.0025"} 0',
      'apiforge_http_request_duration_seconds_bucket{method="GET",route="/things/:id",le="0.005"} 3',
      'apiforge_http_request_duration_seconds_sum{method="GET",route="/things/:id"} 0.009',
      'apiforge_http_requests_in_flight{method="GET",route="/things/:id"} 0',
      // Answers of no stage are none of them, not even while they are made.
      'apiforge_http_requests_in_flight{method="",route=""} 0',
    ]),
  );
  expect(text).not.toContain("made-up");
  expect(text).toContain("process_resident_memory_bytes ");
  expect(text).toContain('nodejs_eventloop_lag_seconds{quantile="0.99"} ');
});

test("a source of the application is told beside ours", async () => {
  const samples = [{ labels: { path: 'a\\b"c\nd' }, value: 2 }];
  const { edge } = await start({
    sources: [() => [{ name: "orders_total", help: "Orders.", type: "counter", samples }]],
  });
  const { body, headers } = await edge.inject({ url: "/metrics" });
  expect(headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(body).toContain('orders_total{path="a\\\\b\\"c\\nd"} 2\n');
});

test("law: a histogram is cumulative, and its last bucket is its count", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 20_000, noNaN: true })), (durationsMs) => {
      const metrics = new RequestMetrics();
      const observer = metrics.observerOf(thingRoutes[0]);
      for (const durationMs of durationsMs) {
        observer.begin?.();
        observer.end({ exchange: {} as never, status: 200, bytes: 1, durationMs, isReplay: false });
      }
      const buckets = [...renderMetrics(metrics.read()).matchAll(/le="([^"]+)"} (\d+)/g)].map(
        ([, le, count]) => ({
          ms: le === "+Inf" ? Infinity : Number(le) * 1_000,
          count: Number(count),
        }),
      );
      if (durationsMs.length === 0) return buckets.length === 0;
      return (
        buckets.at(-1)?.count === durationsMs.length &&
        buckets.every(
          ({ ms, count }) =>
            durationsMs.filter((durationMs) => durationMs <= ms + 1e-9).length === count,
        )
      );
    }),
  );
});
