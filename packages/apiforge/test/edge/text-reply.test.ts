import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute, textReply } from "../../src/edge/index.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

const html = textReply("text/html; charset=utf-8");

const page = defineRoute({
  method: "GET",
  path: "/page",
  auth: "none",
  replies: { 200: html, 404: z.object({ why: z.string() }) },
  handler: () => ({ status: 200, body: "<p>Grüße</p>", headers: { "x-kind": "page" } }),
});
let receipts = 0;
const receipt = defineRoute({
  method: "POST",
  path: "/receipt",
  replies: { 201: textReply("text/plain; charset=utf-8") },
  handler: () => ({ status: 201, body: `receipt ${(receipts += 1)}` }),
});
const broken = defineRoute({
  method: "GET",
  path: "/broken",
  auth: "none",
  replies: { 200: html },
  // @ts-expect-error -- a text is a string
  handler: () => ({ status: 200, body: { not: "a text" } }),
});

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness([page, receipt, broken]);
});
afterAll(() => harness.stop());

test("a text leaves as it is, as its content type", async () => {
  const answer = await harness.edge.inject({ url: "/page" });
  expect(answer).toMatchObject({ statusCode: 200, body: "<p>Grüße</p>" });
  expect(answer.headers).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "x-kind": "page",
  });
});

test("a replay has the same text and type", async () => {
  const headers = { authorization: await harness.bearer(), "idempotency-key": "r1" };
  const request = { method: "POST", url: "/receipt", headers } as const;
  const first = await harness.edge.inject(request);
  const second = await harness.edge.inject(request);
  for (const answer of [first, second]) {
    expect(answer).toMatchObject({ statusCode: 201, body: "receipt 1" });
    expect(answer.headers["content-type"]).toBe("text/plain; charset=utf-8");
  }
  expect(second.headers["idempotent-replayed"]).toBe("true");
});

test("a body that is no text is a failure of ours, and nothing of it leaves", async () => {
  const answer = await harness.edge.inject({ url: "/broken" });
  expect(answer.statusCode).toBe(500);
  expect(answer.body).not.toContain("a text");
});

test("the API reference tells its media type", async () => {
  const document = (await harness.edge.inject({ url: "/openapi.json" })).json<{
    paths: { "/page": { get: { responses: { 200: { content: unknown } } } } };
  }>();
  expect(document.paths["/page"].get.responses[200].content).toEqual({
    "text/html": { schema: { type: "string" } },
  });
});
