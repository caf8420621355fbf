import { afterEach, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute, type ServerLimits } from "../../../src/edge/index.ts";
import { startHarness, type Harness } from "../edge-harness.ts";

let harness: Harness | undefined;
let release = (): void => undefined;
afterEach(async () => {
  release();
  await harness?.stop();
  harness = undefined;
});

type Url = "/work" | "/critical" | "/mine";

/** Routes whose handlers wait until they are released, and how many of them are at work. */
async function start(limits: ServerLimits) {
  const held = Promise.withResolvers<void>();
  release = held.resolve;
  let atWork = 0;
  let arrived = (): void => undefined;
  const route = (path: Url, options: { critical?: boolean; maxInFlight?: number } = {}) =>
    defineRoute({
      method: "GET",
      path,
      auth: "none",
      // Snapshots of a store in memory wait for one another.
      transaction: "none",
      replies: { 200: z.object({}) },
      ...options,
      handler: async () => {
        atWork++;
        arrived();
        await held.promise;
        return { status: 200, body: {} };
      },
    });
  const routes = [
    route("/work"),
    route("/critical", { critical: true }),
    route("/mine", { maxInFlight: 1 }),
  ];
  harness = await startHarness(routes, { limits });
  const { edge } = harness;
  const get = (url: Url, remoteAddress = "192.0.2.1") => edge.inject({ url, remoteAddress });
  return {
    edge,
    get,
    /** Answers once the handler is at work. */
    async hold(url: Url, remoteAddress?: string) {
      const next = Promise.withResolvers<void>();
      arrived = next.resolve;
      const answer = get(url, remoteAddress);
      await next.promise;
      return { answer };
    },
    count: () => atWork,
  };
}

test("what is above the load limit is answered 503 with Retry-After, and health is not", async () => {
  const { edge, get, hold } = await start({ load: { maxInFlight: 1 } });
  const { answer } = await hold("/work");
  const refused = await get("/work");
  expect(refused.statusCode).toBe(503);
  expect(refused.json()).toMatchObject({ error: { code: "overloaded" } });
  expect(refused.headers["retry-after"]).toBe("1");
  expect((await edge.inject({ url: "/health/live" })).statusCode).toBe(200);
  release();
  expect((await answer).statusCode).toBe(200);
  expect((await get("/work")).statusCode).toBe(200);
});

test("other routes never take what is reserved for critical ones, which may take more", async () => {
  const { get, hold, count } = await start({ load: { maxInFlight: 3, reserved: 1 } });
  const first = await hold("/work");
  const second = await hold("/work");
  expect((await get("/work")).statusCode).toBe(503);
  const third = await hold("/critical");
  expect((await get("/critical")).statusCode).toBe(503);
  expect(count()).toBe(3);
  release();
  const answers = await Promise.all([first.answer, second.answer, third.answer]);
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200]);
});

test("one caller has no more at work on a route than it may; others are not concerned", async () => {
  const { get, hold } = await start({});
  const mine = await hold("/mine", "192.0.2.1");
  const refused = await get("/mine", "192.0.2.1");
  expect(refused.statusCode).toBe(429);
  expect(refused.json()).toMatchObject({ error: { code: "too_many_in_flight" } });
  const other = await hold("/mine", "192.0.2.2");
  release();
  expect((await mine.answer).statusCode).toBe(200);
  expect((await other.answer).statusCode).toBe(200);
  expect((await get("/mine", "192.0.2.1")).statusCode).toBe(200);
});

test("a reserve that leaves nothing to other routes is refused at the start", async () => {
  await expect(start({ load: { maxInFlight: 2, reserved: 2 } })).rejects.toThrow(/greater than/);
});
