import { afterEach, expect, expectTypeOf, test } from "vitest";
import { z } from "zod";

import { badRequest, defineRoute } from "../../src/edge/index.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

const replies = { 200: z.object({ sum: z.number() }) };
const query = z.object({ a: z.coerce.number<number>(), b: z.coerce.number<number>() });

const add = defineRoute({
  method: "GET",
  path: "/sum",
  auth: "none",
  transaction: "none",
  query,
  replies,
  handler: ({ query: { a, b }, tx }) => {
    expectTypeOf(tx).toEqualTypeOf<undefined>();
    if (a < 0) throw badRequest("negative", "Not below zero");
    if (b < 0) return badRequest("negative", "Not below zero");
    return { status: 200, body: { sum: a + b, secret: "never leaves" } };
  },
});
const addLater = defineRoute({
  method: "POST",
  path: "/sum",
  auth: "none",
  transaction: "none",
  body: z.object({ a: z.number(), b: z.number() }),
  replies,
  handler: async ({ body: { a, b } }) => {
    await Promise.resolve();
    if (a < 0) throw badRequest("negative", "Not below zero");
    return { status: 200, body: { sum: a + b } };
  },
});

test("a handler without a transaction answers, refuses and is shaped like any other", async () => {
  harness = await startHarness([add, addLater]);
  const get = (url: string) => harness?.edge.inject({ method: "GET", url });
  const post = (payload: object) => harness?.edge.inject({ method: "POST", url: "/sum", payload });

  expect((await get("/sum?a=1&b=2"))?.json()).toEqual({ sum: 3 });
  expect((await post({ a: 1, b: 2 }))?.json()).toEqual({ sum: 3 });
  const refusals = [
    await get("/sum?a=-1&b=0"),
    await get("/sum?a=1&b=-1"),
    await post({ a: -1, b: 0 }),
  ];
  expect(refusals.map((answer) => answer?.json().error.code)).toEqual([
    "negative",
    "negative",
    "negative",
  ]);
});

test("it answers while the store is away", async () => {
  const away = (): Promise<never> => Promise.reject(new Error("The store is away"));
  harness = await startHarness([add]);
  const { durable } = harness;
  Object.assign(durable, { read: away, execute: away });
  expect((await harness.edge.inject({ url: "/sum?a=1&b=2" })).statusCode).toBe(200);
});

test("what would need a transaction cannot do without", () => {
  expect(() =>
    defineRoute({
      method: "POST",
      path: "/",
      transaction: "none",
      idempotency: "required",
      replies: { 204: null },
      handler: () => ({ status: 204 }),
    }),
  ).toThrow("needs a transaction");
});
