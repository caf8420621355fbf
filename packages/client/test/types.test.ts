import {
  batchBody,
  defineBatch,
  defineRoute,
  listQuery,
  ndjsonReply,
  pageOf,
  textReply,
} from "apiforge";
import { Type } from "typebox";
import { expect, expectTypeOf, test } from "vitest";
import { z } from "zod";

import { createClient } from "../src/index.ts";

const order = z.object({ id: z.string(), cents: z.int(), tags: z.array(z.string()) });
const created = defineRoute({
  method: "POST",
  path: "/orders",
  body: z.object({ cents: z.int(), tags: z.array(z.string()).default([]) }),
  replies: {
    201: order,
    202: z.object({ queued: z.literal(true) }),
    409: z.object({ why: z.string() }),
  },
  handler: () => ({ status: 201, body: { id: "o", cents: 1, tags: [] } }),
});
const listed = defineRoute({
  method: "GET",
  path: "/orders",
  query: listQuery({ kind: z.enum(["a", "b"]).optional() }),
  replies: { 200: pageOf(order) },
  handler: ({ list }) => ({ status: 200, body: list.page([], 1, () => ({})) }),
});
const read = defineRoute({
  method: "GET",
  path: "/orders/:id",
  query: Type.Object({ deep: Type.Optional(Type.Boolean()) }),
  replies: { 200: order },
  handler: () => ({ status: 200, body: { id: "o", cents: 1, tags: [] } }),
});
const removed = defineRoute({
  method: "DELETE",
  path: "/orders/:id",
  replies: { 204: null },
  handler: () => ({ status: 204 }),
});
const open = defineRoute({
  method: "POST",
  path: "/sign-ups",
  auth: "none",
  body: z.object({ email: z.string() }),
  replies: { 202: z.object({ ok: z.literal(true) }) },
  handler: () => ({ status: 202, body: { ok: true } }),
});
const openWithKeys = defineRoute({
  method: "POST",
  path: "/payments",
  auth: "none",
  idempotency: "required",
  replies: { 204: null },
  handler: () => ({ status: 204 }),
});
const orders = defineBatch("orders", { item: order, run: async () => undefined });
const uploaded = defineRoute({
  method: "POST",
  path: "/uploads",
  body: batchBody(orders, { field: "orders" }),
  replies: { 202: z.object({ id: z.string() }) },
  handler: () => ({ status: 202, body: { id: "b" } }),
});
const exported = defineRoute({
  method: "GET",
  path: "/exports/:id",
  replies: { 200: ndjsonReply(order) },
  handler: () => ({ status: 200, stream: (async function* () {})() }),
});
const page = defineRoute({
  method: "GET",
  path: "/page",
  replies: { 200: textReply("text/html") },
  handler: () => ({ status: 200, body: "" }),
});
const routes = [created, listed, read, removed, open, openWithKeys, uploaded, exported, page];

type Order = { id: string; cents: number; tags: string[] };

// Types only: these calls are never made.
function calls() {
  return createClient<typeof routes>();
}
type Api = ReturnType<typeof calls>;
const api = undefined as unknown as Api;
const never = (call: () => unknown): void => void call;

test("the client knows each route's path, options and successful answers", () => {
  never(() => {
    expectTypeOf(api.post("/orders", { body: { cents: 1 } })).resolves.toEqualTypeOf<
      Order | { queued: true }
    >();
    expectTypeOf(api.get("/orders/:id", { params: { id: "o" } })).resolves.toEqualTypeOf<Order>();
    expectTypeOf(
      api.delete("/orders/:id", { params: { id: "o" } }),
    ).resolves.toEqualTypeOf<undefined>();
    return api.get("/orders/:id", { params: { id: "o" }, query: { deep: true } });
  });
  never(() => api.post("/orders", { body: { cents: 1, tags: ["a"] as readonly string[] } }));
  // @ts-expect-error -- the body is required
  never(() => api.post("/orders"));
  // @ts-expect-error -- cents is a number
  never(() => api.post("/orders", { body: { cents: "1" } }));
  // @ts-expect-error -- the body has no such field
  never(() => api.post("/orders", { body: { cents: 1, colour: "red" } }));
  // @ts-expect-error -- there is no such path
  never(() => api.post("/order", { body: { cents: 1 } }));
  // @ts-expect-error -- the path has another method
  never(() => api.put("/orders", { body: { cents: 1 } }));
  // @ts-expect-error -- the parameter is missing
  never(() => api.get("/orders/:id"));
  // @ts-expect-error -- the query has no such field
  never(() => api.get("/orders/:id", { params: { id: "o" }, query: { shallow: true } }));
  // @ts-expect-error -- a reading route takes no body
  never(() => api.get("/orders", { body: {} }));
  expect(routes).toHaveLength(9);
});

test("a list is over the items of a page, and asks for no cursor", () => {
  never(() => {
    expectTypeOf(api.list("/orders")).toEqualTypeOf<AsyncIterableIterator<Order>>();
    return api.list("/orders", { query: { kind: "a", limit: 5 } });
  });
  // @ts-expect-error -- the cursors are the client's business
  never(() => api.list("/orders", { query: { cursor: "c" } }));
  // @ts-expect-error -- the filter has no such value
  never(() => api.list("/orders", { query: { kind: "c" } }));
  // @ts-expect-error -- this route answers no page
  never(() => api.list("/orders/:id", { params: { id: "o" } }));
  expect(listed.path).toBe("/orders");
});

test("a batch is sent as its items, and a stream is read value by value", () => {
  const one: Order = { id: "o", cents: 1, tags: [] };
  never(() => api.post("/uploads", { body: { orders: [one] } }));
  never(() => {
    const values = api.ndjson("/exports/:id", { params: { id: "b" } });
    expectTypeOf(values).toEqualTypeOf<AsyncIterableIterator<Order>>();
    return values;
  });
  // @ts-expect-error -- an item lacks its fields
  never(() => api.post("/uploads", { body: { orders: [{ id: "o" }] } }));
  // @ts-expect-error -- a stream is no single answer
  never(() => api.get("/exports/:id", { params: { id: "b" } }));
  // @ts-expect-error -- a single answer is no stream
  never(() => api.ndjson("/orders/:id", { params: { id: "o" } }));
  // @ts-expect-error -- a page of HTML is for browsers
  never(() => api.get("/page"));
  expect(uploaded.method).toBe("POST");
});

test("a write says so when its route takes no key", () => {
  never(() => api.post("/sign-ups", { body: { email: "a@b.c" }, idempotencyKey: null }));
  never(() => api.post("/payments"));
  never(() => api.post("/payments", { idempotencyKey: "k" }));
  // @ts-expect-error -- the route takes no key, so the call is attempted once
  never(() => api.post("/sign-ups", { body: { email: "a@b.c" } }));
  // @ts-expect-error -- the route takes keys
  never(() => api.post("/payments", { idempotencyKey: null }));
  expect(open.idempotency).toBe("none");
});

test("without routes there are whole answers by URL", () => {
  never(() => {
    const untyped = createClient();
    expectTypeOf(untyped.request("GET", "/a")).resolves.toHaveProperty("body").toBeUnknown();
    // @ts-expect-error -- no route is declared
    return untyped.get("/a");
  });
  expect(createClient()).toHaveProperty("request");
});
