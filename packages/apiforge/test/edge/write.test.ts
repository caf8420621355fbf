import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { startHarness, type Harness } from "./edge-harness.ts";
import { thingRoutes } from "./thing-routes.ts";

let harness: Harness;
beforeEach(async () => {
  harness = await startHarness(thingRoutes);
});
afterEach(() => harness.stop());

interface Write {
  readonly method?: "POST" | "PUT" | "DELETE";
  readonly url?: string;
  readonly key?: string;
  readonly payload?: string | object;
  readonly subject?: string;
  readonly tenant?: string;
  readonly headers?: Record<string, string>;
}

async function send({
  method = "POST",
  url = "/things",
  key,
  payload,
  subject,
  tenant,
  headers = {},
}: Write) {
  const authorization = await harness.bearer({
    ...(subject === undefined ? {} : { subject }),
    ...(tenant === undefined ? {} : { tenant }),
    scopes: ["things:write"],
  });
  return harness.edge.inject({
    method,
    url,
    headers: {
      authorization,
      "content-type": "application/json",
      ...(key === undefined ? {} : { "idempotency-key": key }),
      ...headers,
    },
    ...(payload === undefined ? {} : { payload }),
  });
}

async function names(): Promise<readonly unknown[]> {
  const rows = await harness.durable.read(
    "names",
    (reader) => reader.sql`select name from thing order by name`,
  );
  return rows.map((row) => row["name"]);
}

test("a write is answered with what its reply declares, and nothing else", async () => {
  const response = await send({ payload: { name: "a" } });
  expect(response.statusCode).toBe(201);
  expect(response.body).toBe('{"id":"thing_a","name":"a"}');
  expect(response.headers).toMatchObject({
    "content-type": "application/json; charset=utf-8",
    "cache-control": "no-store",
    "x-request-id": expect.stringMatching(/^req_[0-9A-Za-z]{22}$/),
    "x-forge-seq": expect.stringMatching(/^\d+$/),
  });
  expect(response.headers).not.toHaveProperty("idempotent-replayed");
  expect(await names()).toEqual(["a"]);
});

test("other JSON types and TypeBox schemas are taken", async () => {
  const response = await send({
    method: "PUT",
    url: "/things/a",
    payload: '{"name":"ä"}',
    headers: { "content-type": 'application/merge-patch+json; charset="utf-8"' },
  });
  expect([response.statusCode, response.body]).toEqual([200, '{"id":"a","name":"ä"}']);
});

test("an answer without a body has none", async () => {
  const response = await send({ method: "DELETE", url: "/things/a" });
  expect([response.statusCode, response.body]).toEqual([204, ""]);
  expect(response.headers).not.toHaveProperty("content-type");
  expect(response.headers).not.toHaveProperty("content-length");
});

test.each([undefined, "{}", ""])("a route without a body accepts %j", async (payload) => {
  const response = await send({
    url: "/things/a/confirm",
    ...(payload === undefined ? {} : { payload }),
  });
  expect([response.statusCode, response.body]).toEqual([200, '{"id":"a"}']);
});

test("a returned refusal commits its effects, a thrown one does not", async () => {
  const returned = await send({ url: "/outcomes/returned-409" });
  expect([returned.statusCode, returned.body]).toEqual([409, '{"reason":"state"}']);
  expect(await names()).toEqual(["returned-409"]);
  expect((await send({ url: "/outcomes/conflict" })).statusCode).toBe(409);
  expect(await names()).toEqual(["returned-409"]);
});

test("a handler's headers are sent and replayed", async () => {
  const first = await send({ url: "/outcomes/fine", key: "k" });
  const second = await send({ url: "/outcomes/fine", key: "k" });
  expect(first.headers["x-note"]).toBe("fine");
  expect(second.headers["x-note"]).toBe("fine");
});

test("a public route runs without a principal", async () => {
  const response = await harness.edge.inject({
    method: "POST",
    url: "/public",
    payload: { at: "x" },
  });
  expect([response.statusCode, response.body]).toEqual([200, '{"at":"x"}']);
  expect(response.headers).not.toHaveProperty("cache-control");
});

describe("idempotency", () => {
  test.each([
    ["bare", { "idempotency-key": "k-1" }],
    ["quoted", { "idempotency-key": '"k-1"' }],
    ["alias", { "x-idempotency-key": "k-1" }],
    ["both alike", { "idempotency-key": "k-1", "x-idempotency-key": '"k-1"' }],
  ])("a key written %s names the same request", async (_form, headers) => {
    const first = await send({ key: "k-1", payload: { name: "a" } });
    const again = await send({ headers, payload: { name: "a" } });
    expect([again.statusCode, again.body]).toEqual([first.statusCode, first.body]);
    expect(again.headers).toMatchObject({
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "idempotent-replayed": "true",
      "x-forge-seq": first.headers["x-forge-seq"],
    });
    expect(again.headers["x-request-id"]).not.toBe(first.headers["x-request-id"]);
    expect(await names()).toEqual(["a"]);
  });

  test.each([
    ["key order and white space", '{"parts":[],"name":"a"}', '{ "name" : "a",\n"parts":[ ] }'],
    [
      "the form of a number",
      '{"name":"a","size":{"width":1}}',
      '{"name":"a","size":{"width":1.0e0}}',
    ],
    ["the escaping of text", '{"name":"a"}', '{"n\\u0061me":"\\u0061"}'],
  ])("%s make no difference", async (_what, payload, same) => {
    await send({ key: "k", payload });
    const again = await send({ key: "k", payload: same });
    expect([again.statusCode, again.headers["idempotent-replayed"]]).toEqual([201, "true"]);
  });

  test.each([
    ["a value", { payload: { name: "b" } }],
    ["a field more", { payload: { name: "a", parts: [] } }],
    ["the query", { url: "/things?x=1", payload: { name: "a" } }],
  ])("%s makes a different request", async (_what, other) => {
    await send({ key: "k", payload: { name: "a" } });
    const response = await send({ key: "k", ...other });
    expect(response.statusCode).toBe(422);
    expect(response.json().error).toMatchObject({
      type: "idempotency_error",
      code: "idempotency_key_reused",
    });
    expect(await names()).toEqual(["a"]);
  });

  test("a path parameter makes a different request", async () => {
    await send({ url: "/things/a/confirm", key: "k" });
    expect((await send({ url: "/things/b/confirm", key: "k" })).statusCode).toBe(422);
  });

  test.each([
    ["tenants", { tenant: "ten_2" }],
    ["subjects", { subject: "usr_2" }],
  ])("keys of different %s are different", async (_what, other) => {
    const payload = { amount: 1 };
    await send({ url: "/orders", key: "k", payload });
    const response = await send({ url: "/orders", key: "k", payload: { amount: 2 }, ...other });
    expect([response.statusCode, response.body]).toEqual([202, '{"amount":2}']);
  });

  test("keys of different routes are different", async () => {
    await send({ key: "k", payload: { name: "a" } });
    const response = await send({ url: "/orders", key: "k", payload: { amount: 2 } });
    expect(response.statusCode).toBe(202);
  });

  test("a thrown refusal is replayed with its first request id, and nothing else of it stays", async () => {
    const first = await send({ url: "/outcomes/conflict", key: "k" });
    const again = await send({ url: "/outcomes/conflict", key: "k" });
    expect([again.statusCode, again.body]).toEqual([409, first.body]);
    expect(again.headers["idempotent-replayed"]).toBe("true");
    expect(await names()).toEqual([]);
  });

  test.each(["unknown-error", "missing-field"])("a failure (%s) is not recorded", async (kind) => {
    expect((await send({ url: `/outcomes/${kind}`, key: "k" })).statusCode).toBe(500);
    const again = await send({ url: `/outcomes/${kind}`, key: "k" });
    expect(again.statusCode).toBe(500);
    expect(again.headers).not.toHaveProperty("idempotent-replayed");
  });

  test("a refusal that may not meet again is not recorded", async () => {
    expect((await send({ url: "/outcomes/retryable", key: "k" })).statusCode).toBe(409);
    const again = await send({ url: "/outcomes/retryable", key: "k" });
    expect(again.headers).not.toHaveProperty("idempotent-replayed");
  });

  test("a refusal before the handler is not recorded", async () => {
    expect((await send({ key: "k", payload: { name: "" } })).statusCode).toBe(400);
    expect((await send({ key: "k", payload: { name: "a" } })).statusCode).toBe(201);
  });

  test("requests at once have one effect", async () => {
    const responses = await Promise.all(
      Array.from({ length: 50 }, () => send({ key: "k", payload: { name: "a" } })),
    );
    for (const response of responses) {
      if (response.statusCode === 409) {
        expect(response.headers["retry-after"]).toBe("1");
        expect(response.json().error.code).toBe("idempotency_in_progress");
      } else {
        expect([response.statusCode, response.body]).toEqual([201, '{"id":"thing_a","name":"a"}']);
      }
    }
    expect(
      responses.filter(
        (response) =>
          response.headers["idempotent-replayed"] === undefined && response.statusCode === 201,
      ),
    ).toHaveLength(1);
    expect(await names()).toEqual(["a"]);
  });

  test("a role taken away is checked before the replay", async () => {
    await send({ method: "DELETE", url: "/things/a", key: "k" });
    const response = await harness.edge.inject({
      method: "DELETE",
      url: "/things/a",
      headers: { authorization: await harness.bearer({ role: "member" }), "idempotency-key": "k" },
    });
    expect(response.statusCode).toBe(403);
  });
});

test("a store that cannot commit is answered with 503 and Retry-After", async () => {
  const { storeError } = await import("../../src/store/index.ts");
  const { batches, upstreamCalls } = harness.durable;
  const unavailable = await startHarness(thingRoutes, {
    durable: {
      batches,
      upstreamCalls,
      execute: () => Promise.reject(storeError("store_unavailable", "The store cannot be reached")),
      read: () => Promise.reject(storeError("store_unavailable", "The store cannot be reached")),
    },
  });
  const authorization = await unavailable.bearer();
  for (const method of ["GET", "POST"] as const) {
    const response = await unavailable.edge.inject({
      method,
      url: "/things",
      headers: { authorization },
      ...(method === "POST" ? { payload: { name: "a" } } : {}),
    });
    expect([response.statusCode, response.headers["retry-after"]]).toEqual([503, "1"]);
    expect(response.json().error).toMatchObject({ type: "api_error", code: "store_unavailable" });
  }
  await unavailable.stop();
});
