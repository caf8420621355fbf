import { until } from "@apiforge/testing";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { startTimedBank, type TimedBank } from "./timed-bank.ts";

const betweenRetriesMs = 2_000;
const minuteMs = 60_000;

let system: TimedBank;

beforeEach(async () => {
  system = await startTimedBank();
});
afterEach(() => system[Symbol.asyncDispose]());

/** Makes the bank's service fail `count` times. */
async function fail(count: number, status: number): Promise<void> {
  await system.bank.request({ method: "PUT", path: "/_faults", body: { count, status } });
}

async function timesAsked(): Promise<number> {
  return ((await system.bank.request({ path: "/_seen" })).json() as unknown[]).length;
}

/** Lets `count` waits before a retry pass, each when it has begun. */
async function passRetries(count: number): Promise<void> {
  const timers = vi.spyOn(system.clock, "after");
  const begun = () => timers.mock.calls.filter(([delayMs]) => delayMs === betweenRetriesMs).length;
  for (let retry = 1; retry <= count; retry += 1) {
    await until(`retry ${retry} waits`, () => begun() === retry);
    expect(await timesAsked()).toBe(retry);
    system.clock.advance(betweenRetriesMs);
  }
}

test("accounts come although the bank's service failed twice, 2 s apart", async () => {
  await fail(2, 500);
  const asked = system.accounts("cust_1001");
  await passRetries(2);
  expect((await asked).status).toBe(200);
  expect(await timesAsked()).toBe(3);
});

test("they are not there when it goes on failing, and nothing of its reasons is told", async () => {
  await fail(100, 502);
  const asked = system.accounts("cust_1001", { "x-correlation-id": "call-8" });
  await passRetries(3);
  const answer = await asked;
  expect(await timesAsked()).toBe(4);
  expect([answer.status, answer.json()]).toMatchObject([
    502,
    { error: { code: "upstream_failed" } },
  ]);
  expect(answer.body).not.toMatch(/Trace|core-banking|10\.20/);
  expect(answer.headers["x-correlation-id"]).toBe("call-8");
});

test("they are asked for 500 times a minute by one certificate, whoever's tokens it brings", async () => {
  const answers = await Promise.all(
    Array.from({ length: 520 }, (_, index) => system.accounts(`cust_${index}`)),
  );
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBe(20);
  expect(answers.filter(({ status }) => status === 200).length).toBe(500);
  const waitMs = Number(refused[0]?.headers["retry-after"]) * 1_000;
  // Windows are counted in pieces of a second.
  expect(waitMs).toBeLessThanOrEqual(minuteMs + 1_000);
  system.clock.advance(waitMs);
  expect((await system.accounts("cust_1001")).status).toBe(200);
});
