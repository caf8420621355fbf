import { until } from "@apiforge/testing";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";

import { Breaker } from "../../src/gateway/breaker.ts";
import { RetryBudget } from "../../src/gateway/retry-budget.ts";
import { defineProxy } from "../../src/gateway/index.ts";
import { ManualClock, startHarness } from "../edge/edge-harness.ts";
import {
  startGateway,
  startRawUpstream,
  type GatewayHarness,
  type RawUpstream,
  type Script,
} from "./gateway-harness.ts";

const answer = (status: number, body = "ok") =>
  `HTTP/1.1 ${status} X\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const answering = (status: number, body?: string) => (): Script => (socket) =>
  socket.write(answer(status, body));

const open: { stop?(): Promise<void>; close?(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await (one.stop?.() ?? one.close?.());
});

async function upstreamOf(script: Script): Promise<RawUpstream> {
  const started = await startRawUpstream(script);
  open.push(started);
  return started;
}

async function gatewayTo(
  endpoints: readonly RawUpstream[],
  options: Parameters<typeof startGateway>[1] = {},
): Promise<GatewayHarness> {
  const started = await startGateway(
    endpoints.map(({ url }) => url),
    options,
  );
  open.push(started);
  return started;
}

function requestsAt({ received }: RawUpstream): number {
  return received.join("").split(" HTTP/1.1\r\n").length - 1;
}

test("a GET whose connection broke is asked of another endpoint", async () => {
  const broken = await upstreamOf((socket) => socket.destroy());
  const sound = await upstreamOf(answering(200)());
  const gateway = await gatewayTo([broken, sound]);
  for (let request = 0; request < 4; request += 1) {
    expect((await fetch(gateway.url)).status).toBe(200);
  }
  expect(requestsAt(broken)).toBeGreaterThan(0);
});

test.each([
  { name: "a POST", headers: {}, keyed: true },
  {
    name: "a POST with a key that the upstream does not know",
    headers: { "idempotency-key": "k" },
    keyed: false,
  },
])("$name is never sent twice", async ({ headers, keyed }) => {
  const broken = await upstreamOf((socket) => socket.destroy());
  const gateway = await gatewayTo([broken], { upstreamOptions: { retry: { keyed } } });
  const refused = await fetch(gateway.url, { method: "POST", body: "a", headers });
  expect(await refused.json()).toMatchObject({ error: { code: "upstream_outcome_unknown" } });
  expect(requestsAt(broken)).toBe(1);
});

test("a POST with a key that the upstream knows is sent again, body and key", async () => {
  const flaky = await upstreamOf((socket, _request, number) =>
    number === 1 ? socket.destroy() : socket.write(answer(201)),
  );
  const gateway = await gatewayTo([flaky], { upstreamOptions: { retry: { keyed: true } } });
  const headers = { "idempotency-key": "k" };
  expect((await fetch(gateway.url, { method: "POST", body: "order", headers })).status).toBe(201);
  expect(flaky.received[1]).toMatch(/idempotency-key: k\r\n[^]*\r\n\r\norder$/);
});

test("a storm of 503 costs an upstream no more than a fifth more requests, and three", async () => {
  const storm = await upstreamOf(answering(503)());
  const gateway = await gatewayTo([storm], { upstreamOptions: { breaker: { failures: 1_000 } } });
  for (let request = 0; request < 50; request += 1) {
    expect((await fetch(gateway.url)).status).toBe(503);
  }
  expect(requestsAt(storm)).toBeGreaterThan(50);
  expect(requestsAt(storm)).toBeLessThanOrEqual(50 + 10 + 3);
});

test("an endpoint that fails is left alone until a probe says that it is back", async () => {
  let status = 502;
  const failing = await upstreamOf((socket) => socket.write(answer(status)));
  const gateway = await gatewayTo([failing], {
    upstreamOptions: { breaker: { failures: 3, openMs: 1_000 } },
  });
  for (let request = 0; request < 3; request += 1) await fetch(gateway.url);
  expect(gateway.behind.states[0]?.state).toBe("open");
  const refused = await fetch(gateway.url);
  expect(refused.headers.get("proxy-status")).toMatch(/error=destination_unavailable$/);
  expect(requestsAt(failing)).toBe(3);
  status = 200;
  gateway.upstreamClock.advance(1_000);
  expect((await fetch(gateway.url)).status).toBe(200);
  expect(gateway.behind.states[0]?.state).toBe("closed");
});

test("an endpoint whose answers are cut off is left alone, as one that gives none", async () => {
  const cutting = await upstreamOf((socket) =>
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
  );
  const gateway = await gatewayTo([cutting], {
    upstreamOptions: { breaker: { failures: 3, openMs: 1_000 } },
  });
  const text = async (): Promise<unknown> =>
    (await fetch(gateway.url)).text().catch(() => "cut off");
  for (let request = 0; request < 3; request += 1) expect(await text()).toBe("cut off");
  expect(gateway.behind.states[0]?.state).toBe("open");
  gateway.upstreamClock.advance(1_000);
  // Its head has come, but one more cut is enough.
  expect(await text()).toBe("cut off");
  expect(gateway.behind.states[0]?.state).toBe("open");
});

test("a client that goes, or does not read, says nothing about its endpoint", async () => {
  const endless = await upstreamOf((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  });
  const gateway = await gatewayTo([endless], { upstreamOptions: { breaker: { failures: 1 } } });
  const leaving = new AbortController();
  const answer = await fetch(gateway.url, { signal: leaving.signal });
  leaving.abort();
  await expect(answer.text()).rejects.toThrow("abort");
  await until("the upstream is rid of it", () => endless.sockets.size === 0);
  expect(gateway.behind.states[0]?.state).toBe("closed");
});

test("a server that stops closes its connections to an upstream, and another one goes on with it", async () => {
  const sound = await upstreamOf((socket) =>
    socket.write("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=600\r\nContent-Length: 2\r\n\r\nok"),
  );
  const first = await gatewayTo([sound]);
  const routes = defineProxy({ path: "/*", auth: "none", upstream: first.behind });
  const second = await startHarness(routes);
  const { url } = await second.edge.listen({ port: 0, host: "127.0.0.1" });
  expect((await fetch(url)).status).toBe(200);
  await second.stop();
  await until("its connections are closed", () => sound.sockets.size === 0);
  expect((await fetch(first.url)).status).toBe(200);
});

test("requests of one key stay with one endpoint, and spread over all", async () => {
  const endpoints = await Promise.all(
    ["a", "b", "c"].map((name) => upstreamOf(answering(200, name)())),
  );
  const gateway = await gatewayTo(endpoints, {
    upstreamOptions: { balancing: { by: ({ url }) => url } },
  });
  const at = async (path: string): Promise<string> => (await fetch(`${gateway.url}${path}`)).text();
  const paths = Array.from({ length: 24 }, (_, index) => `/${index}`);
  const first = await Promise.all(paths.map(at));
  expect(new Set(first).size).toBe(3);
  expect(await Promise.all(paths.map(at))).toEqual(first);
});

test.each(["round-robin", "least-pending"] as const)(
  "%s spreads requests evenly",
  async (balancing) => {
    const endpoints = [await upstreamOf(answering(200)()), await upstreamOf(answering(200)())];
    const gateway = await gatewayTo(endpoints, { upstreamOptions: { balancing } });
    for (let request = 0; request < 10; request += 1) await fetch(gateway.url);
    expect(endpoints.map(requestsAt)).toEqual([5, 5]);
  },
);

test("a retry waits as long as it was told", async () => {
  const flaky = await upstreamOf((socket, _request, number) =>
    socket.write(answer(number === 1 ? 500 : 200)),
  );
  const gateway = await gatewayTo([flaky], {
    upstreamOptions: { retry: { statuses: [500], delayMs: 2_000, attempts: 3 } },
  });
  const asked = fetch(gateway.url);
  await until(
    "the first is refused",
    () => flaky.received.length === 1 && flaky.sockets.size === 0,
  );
  expect(requestsAt(flaky)).toBe(1);
  gateway.upstreamClock.advance(2_000);
  expect((await asked).status).toBe(200);
});

test("whatever the order, retries are at most a fifth of the requests, and three for each 10 s", () => {
  const step = fc.oneof(
    fc.constant("request" as const),
    fc.constant("retry" as const),
    fc.integer({ min: 1, max: 20_000 }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const clock = new ManualClock();
      const beganAt = clock.now();
      const budget = new RetryBudget(clock);
      let requests = 0;
      let retries = 0;
      for (const one of steps) {
        if (one === "request") {
          requests += 1;
          budget.deposit();
        } else if (one === "retry") retries += budget.withdraw() ? 1 : 0;
        else clock.advance(one);
        const windows = 1 + Math.floor((clock.now() - beganAt) / 10_000);
        expect(retries).toBeLessThanOrEqual(0.2 * requests + 3 * windows + 1e-6);
      }
    }),
  );
});

test("a half-open breaker lets one request pass at a time, and doubles its time when that fails", () => {
  const clock = new ManualClock();
  const breaker = new Breaker(clock, { failures: 1, openMs: 1_000 });
  const [first, probe] = [{}, {}];
  breaker.begin(first);
  breaker.fail();
  breaker.end(first);
  expect(breaker.allows).toBe(false);
  clock.advance(1_000);
  expect(breaker.state).toBe("half-open");
  breaker.begin(probe);
  expect(breaker.allows).toBe(false);
  breaker.end(probe);
  breaker.fail();
  clock.advance(1_999);
  expect(breaker.state).toBe("open");
  clock.advance(1);
  expect(breaker.allows).toBe(true);
});

test("a request that began before the breaker opened makes no room for a second probe, and an answered probe takes none", () => {
  const clock = new ManualClock();
  const breaker = new Breaker(clock, { failures: 1, openMs: 1_000 });
  const [before, probe, after] = [{}, {}, {}];
  breaker.begin(before);
  breaker.fail();
  clock.advance(1_000);
  breaker.begin(probe);
  breaker.end(before);
  expect(breaker.allows).toBe(false);
  // A stream that lasts.
  breaker.answer();
  breaker.begin(after);
  breaker.fail();
  clock.advance(2_000);
  expect(breaker.state).toBe("half-open");
  expect(breaker.allows).toBe(true);
});
