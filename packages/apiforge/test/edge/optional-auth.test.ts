import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { createOpenApi } from "../../src/edge/openapi/openapi.ts";
import { defineRoute } from "../../src/edge/route.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

let runs = 0;
const route = defineRoute({
  method: "POST",
  path: "/greetings",
  auth: "optional",
  replies: { 200: z.object({ name: z.string().nullable(), run: z.number() }) },
  handler: ({ principal }) => {
    runs += 1;
    return { status: 200, body: { name: principal?.subject ?? null, run: runs } };
  },
});

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness([route]);
});
afterAll(() => harness.stop());

function post(headers: Readonly<Record<string, string>>) {
  return harness.edge.inject({ method: "POST", url: "/greetings", headers });
}

test("who sends no token is served as nobody", async () => {
  const answer = await post({});
  expect(answer.statusCode).toBe(200);
  expect(answer.json()).toMatchObject({ name: null });
  expect(answer.headers["cache-control"]).toBe("no-store");
});

test("a token that is sent speaks for its principal, and a bad one is refused", async () => {
  const authorization = await harness.bearer();
  expect((await post({ authorization })).json()).toMatchObject({ name: "usr_1" });
  for (const bad of ["Bearer not.a.token", "Basic YTpi", ""]) {
    const refused = await post({ authorization: bad });
    expect(refused.statusCode).toBe(401);
    expect(refused.json()).toMatchObject({ error: { code: "invalid_token" } });
  }
});

test("keys of callers without a token are ignored: nothing tells whose they are", async () => {
  const key = { "idempotency-key": "one" };
  const [first, second] = [await post(key), await post(key)];
  expect(second.json().run).toBe(first.json().run + 1);
  const authorization = await harness.bearer();
  const [third, fourth] = [
    await post({ ...key, authorization }),
    await post({ ...key, authorization }),
  ];
  expect(third.json()).toMatchObject({ name: "usr_1", run: second.json().run + 1 });
  expect(fourth.headers["idempotent-replayed"]).toBe("true");
  expect(fourth.body).toBe(third.body);
});

test("rights cannot be asked of callers who may be nobody", () => {
  const define = () =>
    defineRoute({
      method: "GET",
      path: "/admins",
      auth: "optional",
      roles: ["admin"],
      replies: { 204: null },
      handler: () => ({ status: 204 }),
    });
  expect(define).toThrow('roles and scopes need auth "jwt", "key", "any" or "certificate"');
});

test("the API reference says that the token is optional", () => {
  const document = createOpenApi([route], { title: "Greetings", version: "1" });
  expect(document).toMatchObject({
    paths: { "/greetings": { post: { security: [{}, { bearer: [] }, { apiKey: [] }] } } },
  });
});
