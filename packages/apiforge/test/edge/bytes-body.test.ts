import { expect, expectTypeOf, test } from "vitest";
import { z } from "zod";

import { defineRoute, unauthorized } from "../../src/edge/index.ts";
import { startHarness } from "./edge-harness.ts";

const hook = defineRoute({
  method: "POST",
  path: "/hook",
  auth: "none",
  body: "bytes",
  maxBodyBytes: 64,
  headers: z.object({ "x-signature": z.string().optional() }),
  replies: { 200: z.object({ hex: z.string() }) },
  handler: ({ body, headers }) => {
    expectTypeOf(body).toEqualTypeOf<Buffer>();
    if (headers["x-signature"] !== "good")
      throw unauthorized("invalid_signature", "The signature does not fit");
    return { status: 200, body: { hex: body.toString("hex") } };
  },
});

const signed = { method: "POST", url: "/hook" } as const;

test.each([
  ["application/x-www-form-urlencoded", "a=1&a=2"],
  ["application/json", '{"a":1,"a":2'],
  ["text/plain", "\uFFFD\0"],
  [undefined, "no type"],
])("a body declared as bytes arrives as it was sent, as %s", async (type, text) => {
  const { edge, stop } = await startHarness([hook]);
  const headers = {
    "x-signature": "good",
    ...(type === undefined ? {} : { "content-type": type }),
  };
  const answer = await edge.inject({ ...signed, headers, payload: Buffer.from(text) });
  expect(answer.json()).toEqual({ hex: Buffer.from(text).toString("hex") });
  await stop();
});

test("one that is absent is empty", async () => {
  const { edge, stop } = await startHarness([hook]);
  const answer = await edge.inject({ ...signed, headers: { "x-signature": "good" } });
  expect(answer.json()).toEqual({ hex: "" });
  await stop();
});

test("one that is too large is refused, and so is a bad signature, with a bare challenge", async () => {
  const { edge, stop } = await startHarness([hook]);
  const headers = { "content-type": "text/plain" };
  const large = await edge.inject({ ...signed, headers, payload: "x".repeat(65) });
  expect([large.statusCode, large.json().error.code]).toEqual([413, "body_too_large"]);
  const forged = await edge.inject({ ...signed, headers, payload: "x" });
  expect([forged.statusCode, forged.headers["www-authenticate"]]).toEqual([
    401,
    'Bearer realm="apiforge"',
  ]);
  expect(forged.json().error).toMatchObject({
    type: "authentication_error",
    code: "invalid_signature",
  });
  await stop();
});

test("other routes go on to take JSON only", async () => {
  const json = defineRoute({
    method: "POST",
    path: "/json",
    auth: "none",
    body: z.object({ a: z.number() }),
    replies: { 200: z.object({ a: z.number() }) },
    handler: ({ body }) => ({ status: 200, body }),
  });
  const { edge, stop } = await startHarness([hook, json]);
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const refused = await edge.inject({
    method: "POST",
    url: "/json",
    headers: form,
    payload: "a=1",
  });
  expect([refused.statusCode, refused.json().error.code]).toEqual([415, "unsupported_media_type"]);
  const taken = await edge.inject({ method: "POST", url: "/json", payload: { a: 1 } });
  expect(taken.json()).toEqual({ a: 1 });
  await stop();
});

test("the API reference says that anything may be sent", async () => {
  const { edge, stop } = await startHarness([hook]);
  const { paths } = (await edge.inject({ url: "/openapi.json" })).json();
  expect(paths["/hook"].post.requestBody).toEqual({ content: { "*/*": {} } });
  await stop();
});
