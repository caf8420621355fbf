import { turns, until } from "@apiforge/testing";
import { afterEach, expect, test } from "vitest";

import type { HealthOptions } from "../../src/gateway/index.ts";
import {
  startGateway,
  startRawUpstream,
  type GatewayHarness,
  type RawUpstream,
} from "./gateway-harness.ts";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const intervalMs = 1_000;

/** An upstream whose health, and nothing else of it, is what `health` says; undefined says nothing. */
async function upstreamOf(health: () => number | undefined): Promise<RawUpstream> {
  const started = await startRawUpstream((socket, request) => {
    const status = request.startsWith("GET /base/healthz ") ? health() : 200;
    if (status !== undefined) socket.write(`HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`);
  });
  closing.push(() => started.close());
  return started;
}

interface Checked extends GatewayHarness {
  /** Lets the next question come, and waits until its answer is taken in. */
  round(): Promise<void>;
}

async function gatewayTo(
  upstreams: readonly RawUpstream[],
  health: Partial<HealthOptions> = {},
): Promise<Checked> {
  let learned = 0;
  const random = (): number => {
    learned += 1;
    return 0.5;
  };
  const gateway = await startGateway(
    upstreams.map(({ url }) => `${url}/base`),
    { upstreamOptions: { health: { path: "/healthz", intervalMs, random, ...health } } },
  );
  closing.push(() => gateway.stop());
  const all = upstreams.length;
  if (health.random === undefined) await until("all are asked once", () => learned === all);
  return {
    ...gateway,
    async round() {
      const before = learned;
      gateway.upstreamClock.advance(intervalMs);
      await until("all are asked again", () => learned === before + all);
    },
  };
}

const wellOf = ({ behind }: GatewayHarness) => behind.states.map(({ isWell }) => isWell);
const questionsAt = ({ received }: RawUpstream) => received.join("").split("/healthz ").length - 1;

test("an endpoint that is not well gets no requests until it has been well for long enough", async () => {
  let status = 200;
  const ailing = await upstreamOf(() => status);
  const sound = await upstreamOf(() => 204);
  const gateway = await gatewayTo([ailing, sound], { failures: 3, successes: 2 });
  status = 500;
  await gateway.round();
  await gateway.round();
  expect(wellOf(gateway)).toEqual([true, true]);
  await gateway.round();
  expect(wellOf(gateway)).toEqual([false, true]);
  const before = ailing.received.join("").split("GET /base/x ").length;
  for (let request = 0; request < 6; request += 1) {
    expect((await fetch(`${gateway.url}/x`)).status).toBe(200);
  }
  expect(ailing.received.join("").split("GET /base/x ")).toHaveLength(before);
  status = 200;
  await gateway.round();
  expect(wellOf(gateway)).toEqual([false, true]);
  await gateway.round();
  expect(wellOf(gateway)).toEqual([true, true]);
  for (let request = 0; request < 4; request += 1) await fetch(`${gateway.url}/x`);
  expect(ailing.received.join("")).toContain("GET /base/x ");
});

test("one bad answer among good ones is forgotten", async () => {
  const statuses = [200, 500, 200, 500, 200, 500];
  const flaky = await upstreamOf(() => statuses.shift());
  const gateway = await gatewayTo([flaky], { failures: 2 });
  for (let round = 0; round < 5; round += 1) await gateway.round();
  expect(wellOf(gateway)).toEqual([true]);
});

test("where none is well, requests are refused with nothing sent", async () => {
  const ailing = await upstreamOf(() => 503);
  const gateway = await gatewayTo([ailing], { failures: 1 });
  const refused = await fetch(`${gateway.url}/x`);
  expect(refused.status).toBe(503);
  expect(refused.headers.get("proxy-status")).toMatch(/error=destination_unavailable$/);
  expect(ailing.received.join("")).not.toContain("/base/x");
});

test("no answer in time is a bad one, as is no connection", async () => {
  const silent = await upstreamOf(() => undefined);
  const gone = await startRawUpstream(() => undefined);
  await gone.close();
  const gateway = await gatewayTo([silent, gone], {
    failures: 1,
    timeoutMs: 500,
    random: () => 0.5,
  });
  await until("the silent one is asked", () => questionsAt(silent) === 1);
  await until("the one that is gone is found out", () => wellOf(gateway)[1] === false);
  expect(wellOf(gateway)).toEqual([true, false]);
  gateway.upstreamClock.advance(500);
  await until("the silent one is found out", () => wellOf(gateway)[0] === false);
});

test.each([
  { random: 0, delayMs: 900 },
  { random: 1, delayMs: 1_100 },
])("the rhythm is off by a tenth at most: $delayMs ms", async ({ random, delayMs }) => {
  let learned = 0;
  const sound = await upstreamOf(() => 200);
  const gateway = await gatewayTo([sound], {
    random: () => {
      learned += 1;
      return random;
    },
  });
  await until("it is asked once", () => learned === 1);
  gateway.upstreamClock.advance(delayMs - 1);
  await turns(20);
  expect(questionsAt(sound)).toBe(1);
  gateway.upstreamClock.advance(1);
  await until("it is asked again", () => learned === 2);
});

test("a server that stops asks no more", async () => {
  const sound = await upstreamOf(() => 200);
  const gateway = await gatewayTo([sound]);
  await gateway.edge.close();
  await until("the connection is closed", () => sound.sockets.size === 0);
  gateway.upstreamClock.advance(10 * intervalMs);
  await turns(20);
  expect(questionsAt(sound)).toBe(1);
});

test("nobody is asked who was not said to be", async () => {
  const sound = await upstreamOf(() => 200);
  const gateway = await startGateway([sound.url]);
  closing.push(() => gateway.stop());
  gateway.upstreamClock.advance(60_000);
  await fetch(`${gateway.url}/x`);
  expect(questionsAt(sound)).toBe(0);
  expect(wellOf(gateway)).toEqual([true]);
});
