import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { startHarness, type Harness } from "./edge-harness.ts";
import { thingRoutes } from "./thing-routes.ts";

interface Refusal {
  readonly name: string;
  readonly request: {
    readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "HEAD";
    readonly url?: string;
    readonly headers?: Record<string, string>;
    readonly payload?: string | Buffer | object;
    readonly role?: string;
  };
  readonly status: number;
  readonly code: string;
  readonly param?: string;
  readonly headers?: Record<string, string | RegExp>;
}

const json = { "content-type": "application/json" };
const deep = `${"[".repeat(65)}${"]".repeat(65)}`;

const refusals: readonly Refusal[] = [
  // Routing.
  { name: "unknown path", request: { url: "/nothing" }, status: 404, code: "route_not_found" },
  {
    name: "unknown path, with a body that is no JSON",
    request: { method: "POST", url: "/nothing", headers: json, payload: "{" },
    status: 404,
    code: "route_not_found",
  },
  { name: "trailing slash", request: { url: "/things/" }, status: 404, code: "route_not_found" },
  { name: "doubled slash", request: { url: "//things" }, status: 400, code: "invalid_url" },
  {
    name: "dot segments",
    request: { url: "/things/../things/a/b" },
    status: 404,
    code: "route_not_found",
  },
  {
    name: "method of no route",
    request: { method: "PATCH", url: "/things" },
    status: 405,
    code: "method_not_allowed",
    headers: { allow: "GET, HEAD, OPTIONS, POST" },
  },
  {
    name: "method of no route, with a parameter",
    request: { method: "PATCH", url: "/things/a?b=c" },
    status: 405,
    code: "method_not_allowed",
    headers: { allow: "DELETE, GET, HEAD, OPTIONS, PUT" },
  },
  {
    name: "HEAD where only POST is",
    request: { method: "HEAD", url: "/orders" },
    status: 405,
    code: "",
    headers: { allow: "OPTIONS, POST" },
  },
  {
    name: "POST to a document",
    request: { method: "POST", url: "/openapi.json" },
    status: 405,
    code: "method_not_allowed",
    headers: { allow: "GET, HEAD, OPTIONS" },
  },
  {
    name: "broken percent-encoding",
    request: { url: "/things/%zz" },
    status: 400,
    code: "invalid_url",
  },
  {
    name: "percent-encoding that is no UTF-8",
    request: { url: "/things/%ff%fe" },
    status: 400,
    code: "invalid_url",
  },
  {
    name: "broken percent-encoding outside of any route",
    request: { url: "/%e0%a4%a" },
    status: 400,
    code: "invalid_url",
  },
  {
    name: "endless path segment",
    request: { url: `/things/${"a".repeat(300)}` },
    status: 414,
    code: "uri_too_long",
  },
  // Credentials.
  {
    name: "no token",
    request: { url: "/things", headers: { authorization: "" } },
    status: 401,
    code: "missing_token",
    headers: { "www-authenticate": 'Bearer realm="apiforge"' },
  },
  {
    name: "no token, before the body is looked at",
    request: {
      method: "POST",
      url: "/things",
      headers: { authorization: "", "content-type": "text/csv" },
      payload: "x",
    },
    status: 401,
    code: "missing_token",
  },
  {
    name: "basic credentials",
    request: { url: "/things", headers: { authorization: "Basic YTpi" } },
    status: 401,
    code: "invalid_token",
    headers: { "www-authenticate": /^Bearer realm="apiforge", error="invalid_token"/ },
  },
  {
    name: "a bearer token that is no JWT",
    request: { url: "/things", headers: { authorization: "Bearer abc" } },
    status: 401,
    code: "invalid_token",
  },
  {
    name: "role that may not",
    request: { method: "DELETE", url: "/things/a", role: "member" },
    status: 403,
    code: "insufficient_role",
  },
  {
    name: "scope that is missing",
    request: { method: "PUT", url: "/things/a", payload: { name: "a" } },
    status: 403,
    code: "insufficient_scope",
    headers: {
      "www-authenticate":
        'Bearer realm="apiforge", error="insufficient_scope", scope="things:write"',
    },
  },
  // Bodies.
  {
    name: "no body",
    request: { method: "POST", url: "/things" },
    status: 400,
    code: "validation_failed",
    param: "body",
  },
  {
    name: "empty body",
    request: { method: "POST", url: "/things", headers: json, payload: "" },
    status: 400,
    code: "validation_failed",
    param: "body",
  },
  {
    name: "body that is no JSON",
    request: { method: "POST", url: "/things", headers: json, payload: '{"name":' },
    status: 400,
    code: "invalid_json",
  },
  {
    name: "body that is no UTF-8",
    request: {
      method: "POST",
      url: "/things",
      headers: json,
      payload: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    },
    status: 400,
    code: "invalid_json",
  },
  {
    name: "body with a byte order mark",
    request: { method: "POST", url: "/things", headers: json, payload: '\ufeff{"name":"a"}' },
    status: 400,
    code: "invalid_json",
  },
  {
    name: "key given twice",
    request: { method: "POST", url: "/things", headers: json, payload: '{"name":"a","name":"b"}' },
    status: 400,
    code: "duplicate_json_key",
    param: "body.name",
  },
  {
    name: "key given twice in two spellings, in depth",
    request: {
      method: "POST",
      url: "/things",
      headers: json,
      payload: '{"name":"a","parts":[{"label":"x","\\u006cabel":"y"}]}',
    },
    status: 400,
    code: "duplicate_json_key",
    param: "body.parts.0.label",
  },
  {
    name: "__proto__",
    request: {
      method: "POST",
      url: "/things",
      headers: json,
      payload: '{"name":"a","__proto__":{"admin":true}}',
    },
    status: 400,
    code: "forbidden_json_key",
    param: "body.__proto__",
  },
  {
    name: "__proto__, escaped",
    request: {
      method: "POST",
      url: "/things",
      headers: json,
      payload: '{"name":"a","size":{"\\u005f_proto__":1}}',
    },
    status: 400,
    code: "forbidden_json_key",
    param: "body.size.__proto__",
  },
  {
    name: "constructor.prototype",
    request: {
      method: "POST",
      url: "/things",
      headers: json,
      payload: '{"constructor":{"prototype":{}}}',
    },
    status: 400,
    code: "forbidden_json_key",
    param: "body.constructor",
  },
  {
    name: "nesting without end",
    request: { method: "POST", url: "/things", headers: json, payload: deep },
    status: 400,
    code: "json_too_deep",
  },
  {
    name: "body larger than the route takes",
    request: {
      method: "POST",
      url: "/orders",
      headers: json,
      payload: JSON.stringify({ amount: 1, note: "x".repeat(300) }),
    },
    status: 413,
    code: "body_too_large",
    headers: { connection: "close" },
  },
  {
    name: "body larger than the default",
    request: {
      method: "POST",
      url: "/things",
      headers: json,
      payload: JSON.stringify({ name: "x".repeat(1_048_576) }),
    },
    status: 413,
    code: "body_too_large",
  },
  {
    name: "text body",
    request: {
      method: "POST",
      url: "/things",
      headers: { "content-type": "text/plain" },
      payload: "{}",
    },
    status: 415,
    code: "unsupported_media_type",
  },
  {
    name: "form body",
    request: {
      method: "POST",
      url: "/things",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      payload: "name=a",
    },
    status: 415,
    code: "unsupported_media_type",
  },
  {
    name: "body without a type",
    request: { method: "POST", url: "/things", headers: { "content-type": "" }, payload: "{}" },
    status: 415,
    code: "unsupported_media_type",
  },
  {
    name: "type that is no media type",
    request: { method: "POST", url: "/things", headers: { "content-type": ";;;" }, payload: "{}" },
    status: 415,
    code: "unsupported_media_type",
  },
  {
    name: "type that only looks like JSON",
    request: {
      method: "POST",
      url: "/things",
      headers: { "content-type": "application/jsonp" },
      payload: "{}",
    },
    status: 415,
    code: "unsupported_media_type",
  },
  {
    name: "compressed body",
    request: {
      method: "POST",
      url: "/things",
      headers: { ...json, "content-encoding": "gzip" },
      payload: "{}",
    },
    status: 415,
    code: "unsupported_media_type",
  },
  {
    name: "body for a route without one",
    request: { method: "POST", url: "/things/a/confirm", payload: { force: true } },
    status: 400,
    code: "unknown_field",
    param: "body.force",
  },
  {
    name: "array for a route without a body",
    request: { method: "POST", url: "/things/a/confirm", headers: json, payload: "[]" },
    status: 400,
    code: "validation_failed",
    param: "body",
  },
  // Content.
  {
    name: "field that fails",
    request: { method: "POST", url: "/things", payload: { name: "" } },
    status: 400,
    code: "validation_failed",
    param: "body.name",
  },
  {
    name: "field that is missing",
    request: { method: "POST", url: "/things", payload: {} },
    status: 400,
    code: "validation_failed",
    param: "body.name",
  },
  {
    name: "field of a list item",
    request: {
      method: "POST",
      url: "/things",
      payload: { name: "a", parts: [{ label: "b" }, { label: 1 }] },
    },
    status: 400,
    code: "validation_failed",
    param: "body.parts.1.label",
  },
  {
    name: "list instead of an object",
    request: { method: "POST", url: "/things", payload: [] },
    status: 400,
    code: "validation_failed",
    param: "body",
  },
  {
    name: "null",
    request: { method: "POST", url: "/things", headers: json, payload: "null" },
    status: 400,
    code: "validation_failed",
    param: "body",
  },
  {
    name: "unknown field",
    request: { method: "POST", url: "/things", payload: { name: "a", colour: "red" } },
    status: 400,
    code: "unknown_field",
    param: "body.colour",
  },
  {
    name: "unknown field inside",
    request: {
      method: "POST",
      url: "/things",
      payload: { name: "a", size: { width: 1, depth: 2 } },
    },
    status: 400,
    code: "unknown_field",
    param: "body.size.depth",
  },
  {
    name: "unknown field of a list item",
    request: {
      method: "POST",
      url: "/things",
      payload: { name: "a", parts: [{ label: "b" }, { label: "c", x: 1 }] },
    },
    status: 400,
    code: "unknown_field",
    param: "body.parts.1.x",
  },
  {
    name: "unknown query parameter",
    request: { url: "/things?colour=red" },
    status: 400,
    code: "unknown_field",
    param: "query.colour",
  },
  {
    name: "query parameter out of range",
    request: { url: "/things?limit=101" },
    status: 400,
    code: "validation_failed",
    param: "query.limit",
  },
  {
    name: "query parameter given twice",
    request: { url: "/things?limit=1&limit=2" },
    status: 400,
    code: "validation_failed",
    param: "query.limit",
  },
  {
    name: "sort that is not offered",
    request: { url: "/things?sort=secret" },
    status: 400,
    code: "validation_failed",
    param: "query.sort",
  },
  {
    name: "cursor that nobody made",
    request: { url: "/things?cursor=abc" },
    status: 400,
    code: "invalid_cursor",
    param: "query.cursor",
  },
  {
    name: "TypeBox query out of range",
    request: { url: "/outcomes/a?count=0" },
    status: 400,
    code: "validation_failed",
    param: "query.count",
  },
  // Idempotency keys.
  {
    name: "key missing",
    request: { method: "POST", url: "/orders", payload: { amount: 1 } },
    status: 400,
    code: "idempotency_key_required",
  },
  {
    name: "key empty",
    request: {
      method: "POST",
      url: "/orders",
      payload: { amount: 1 },
      headers: { "idempotency-key": "" },
    },
    status: 400,
    code: "invalid_idempotency_key",
  },
  {
    name: "key empty in quotes",
    request: {
      method: "POST",
      url: "/orders",
      payload: { amount: 1 },
      headers: { "idempotency-key": '""' },
    },
    status: 400,
    code: "invalid_idempotency_key",
  },
  {
    name: "key too long",
    request: {
      method: "POST",
      url: "/orders",
      payload: { amount: 1 },
      headers: { "idempotency-key": "k".repeat(256) },
    },
    status: 400,
    code: "invalid_idempotency_key",
  },
  {
    name: "key with a space",
    request: {
      method: "POST",
      url: "/orders",
      payload: { amount: 1 },
      headers: { "idempotency-key": "a b" },
    },
    status: 400,
    code: "invalid_idempotency_key",
  },
  {
    name: "key with an open quote",
    request: {
      method: "POST",
      url: "/orders",
      payload: { amount: 1 },
      headers: { "idempotency-key": '"a' },
    },
    status: 400,
    code: "invalid_idempotency_key",
  },
  {
    name: "key and alias differ",
    request: {
      method: "POST",
      url: "/orders",
      payload: { amount: 1 },
      headers: { "idempotency-key": "a", "x-idempotency-key": "b" },
    },
    status: 400,
    code: "invalid_idempotency_key",
  },
  {
    name: "key invalid where it is optional",
    request: {
      method: "POST",
      url: "/things",
      payload: { name: "a" },
      headers: { "idempotency-key": "ä" },
    },
    status: 400,
    code: "invalid_idempotency_key",
  },
  // What handlers throw.
  {
    name: "badRequest",
    request: { method: "POST", url: "/outcomes/bad-request" },
    status: 400,
    code: "bad_colour",
    param: "body.colour",
  },
  {
    name: "forbidden",
    request: { method: "POST", url: "/outcomes/forbidden" },
    status: 403,
    code: "forbidden",
  },
  {
    name: "notFound",
    request: { method: "POST", url: "/outcomes/not-found" },
    status: 404,
    code: "not_found",
  },
  {
    name: "conflict",
    request: { method: "POST", url: "/outcomes/conflict" },
    status: 409,
    code: "slot_unavailable",
    param: "body.slotId",
  },
  {
    name: "unprocessable",
    request: { method: "POST", url: "/outcomes/unprocessable" },
    status: 422,
    code: "out_of_stock",
  },
  {
    name: "paymentRequired",
    request: { method: "POST", url: "/outcomes/payment-required" },
    status: 402,
    code: "card_declined",
  },
  {
    name: "an unknown error of a write",
    request: { method: "POST", url: "/outcomes/unknown-error" },
    status: 500,
    code: "internal_error",
  },
  {
    name: "an unknown error of a read",
    request: { url: "/outcomes/unknown-error" },
    status: 500,
    code: "internal_error",
  },
  {
    name: "a reply of a wrong type",
    request: { method: "POST", url: "/outcomes/wrong-reply" },
    status: 500,
    code: "internal_error",
  },
  {
    name: "a reply without a declared field",
    request: { method: "POST", url: "/outcomes/missing-field" },
    status: 500,
    code: "internal_error",
  },
  {
    name: "a reply of a status that is not declared",
    request: { method: "POST", url: "/outcomes/undeclared-status" },
    status: 500,
    code: "internal_error",
  },
  {
    name: "a reply header that is two",
    request: { method: "POST", url: "/outcomes/bad-header" },
    status: 500,
    code: "internal_error",
  },
  {
    name: "a reply header that is ours",
    request: { method: "POST", url: "/outcomes/reserved-header" },
    status: 500,
    code: "internal_error",
  },
];

const types: Record<number, string> = {
  401: "authentication_error",
  402: "payment_error",
  403: "permission_error",
  404: "not_found_error",
  409: "conflict_error",
  500: "api_error",
};
const internals = /hunter2|select \*|\.ts|FST_|HPE_|SQLITE|Unexpected token|position \d/;

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness(thingRoutes);
});
afterAll(() => harness.stop());

async function send(
  { role, ...request }: Refusal["request"],
  headers: Record<string, string> = {},
) {
  const all: Record<string, string> = {
    authorization: await harness.bearer(role === undefined ? {} : { role }),
    ...request.headers,
    ...headers,
  };
  // An empty value stands for a header that is not sent; an idempotency key can be empty.
  if (all["authorization"] === "") delete all["authorization"];
  if (all["content-type"] === "") delete all["content-type"];
  return harness.edge.inject({ method: "GET", url: "/", ...request, headers: all });
}

async function rowCount(): Promise<number> {
  const rows = await harness.durable.read("count", (reader) => reader.sql`select id from thing`);
  return rows.length;
}

describe.each(refusals)("$name", ({ request, status, code, param, headers = {} }) => {
  test("is answered with the envelope and leaves nothing behind", async () => {
    const rowsBefore = await rowCount();
    const response = await send(request, { "x-request-id": "req-from-caller" });
    expect(response.statusCode).toBe(status);
    expect(response.headers["x-request-id"]).toBe("req-from-caller");
    expect(response.headers["cache-control"]).toBe("no-store");
    for (const [name, value] of Object.entries(headers)) {
      expect(response.headers[name]).toEqual(
        value instanceof RegExp ? expect.stringMatching(value) : value,
      );
    }
    expect(await rowCount()).toBe(rowsBefore);
    if (request.method === "HEAD") {
      expect(response.body).toBe("");
      return;
    }
    expect(response.headers["content-type"]).toBe("application/json; charset=utf-8");
    const { error, ...rest } = response.json();
    expect(rest).toEqual({});
    expect(error).toEqual({
      type: code.includes("idempotency")
        ? "idempotency_error"
        : (types[status] ?? "invalid_request_error"),
      code,
      message: expect.any(String),
      ...(param === undefined ? {} : { param }),
      requestId: "req-from-caller",
    });
    expect(response.body).not.toMatch(internals);
  });

  test("says the same as a problem document", async () => {
    if (request.method === "HEAD") return;
    const plain = (await send(request, { "x-request-id": "r1" })).json().error;
    const response = await send(request, {
      "x-request-id": "r1",
      accept: "application/problem+json",
    });
    expect(response.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
    expect(response.json()).toEqual({
      type: `urn:apiforge:error:${code}`,
      title: expect.any(String),
      status,
      detail: plain.message,
      instance: "urn:apiforge:request:r1",
      code,
      errorType: plain.type,
      ...(param === undefined ? {} : { param }),
      requestId: "r1",
    });
  });
});

test("a server error is logged with its cause, a refusal is not", async () => {
  harness.lines.length = 0;
  await send({ url: "/nothing" });
  expect(harness.lines).toEqual([]);
  await send({ url: "/outcomes/unknown-error" }, { "x-request-id": "r2" });
  expect(harness.lines).toEqual([
    {
      level: "error",
      message: "request failed",
      fields: {
        requestId: "r2",
        err: expect.objectContaining({ message: "select * from secret" }),
        method: "GET",
        route: "/outcomes/:kind",
      },
    },
  ]);
});

test("an invalid reply is logged with what is wrong with it", async () => {
  harness.lines.length = 0;
  await send({ method: "POST", url: "/outcomes/missing-field" });
  expect(harness.lines[0]?.fields["err"]).toMatchObject({
    code: "reply_invalid",
    message:
      "Reply 200 of POST /outcomes/:kind does not satisfy its schema: body must have required property 'ok'",
  });
});

test("a long list of issues is cut short", async () => {
  const parts = Array.from({ length: 500 }, () => ({ label: 1 }));
  const { error } = (
    await send({ method: "POST", url: "/things", payload: { name: "a", parts } })
  ).json();
  expect(error.param).toBe("body.parts.0.label");
  expect(error.message).toMatch(/and 495 more$/);
  expect(error.message.length).toBeLessThan(1_500);
});

test("an endless field name is not repeated", async () => {
  const { error } = (
    await send({ method: "POST", url: "/things", payload: { ["x".repeat(9_000)]: 1 } })
  ).json();
  expect(error.code).toBe("unknown_field");
  expect(error.param.length).toBeLessThan(300);
});
