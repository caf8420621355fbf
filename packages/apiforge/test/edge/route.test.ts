import { Type } from "typebox";
import { expect, expectTypeOf, test } from "vitest";
import { z } from "zod";

import type { Reader, Transaction } from "../../src/durable/index.ts";
import { defineRoute, type PathParams, type Principal } from "../../src/edge/index.ts";

const reply = { 200: z.object({ id: z.string() }) };
const answer = { status: 200, body: { id: "a" } } as const;

test("parameters come from the path", () => {
  expectTypeOf<PathParams<"/a/:b/c/:d">>().toEqualTypeOf<{
    readonly b: string;
    readonly d: string;
  }>();
  defineRoute({
    method: "GET",
    path: "/things/:id/parts/:part",
    replies: reply,
    handler: ({ params }) => {
      expectTypeOf(params.id).toEqualTypeOf<string>();
      expectTypeOf(params.part).toEqualTypeOf<string>();
      // @ts-expect-error -- the path names no such parameter
      expect(params.other).toBeDefined();
      return answer;
    },
  });
});

test("declared parts have the type of their schema's output, undeclared ones none", () => {
  defineRoute({
    method: "POST",
    path: "/things/:n",
    params: z.object({ n: z.coerce.number() }),
    query: Type.Object({ deep: Type.Optional(Type.Boolean()) }),
    headers: z.object({ "x-kind": z.enum(["a", "b"]) }),
    body: z.object({ at: z.string().transform(Number), name: z.string().default("x") }),
    replies: reply,
    handler: ({ params, query, headers, body }) => {
      expectTypeOf(params).toEqualTypeOf<{ n: number }>();
      expectTypeOf(query).toEqualTypeOf<{ deep?: boolean }>();
      expectTypeOf(headers["x-kind"]).toEqualTypeOf<"a" | "b">();
      expectTypeOf(body).toEqualTypeOf<{ at: number; name: string }>();
      return answer;
    },
  });
  defineRoute({
    method: "POST",
    path: "/things",
    replies: reply,
    handler: ({ query, headers, body }) => {
      expectTypeOf(query).toEqualTypeOf<undefined>();
      expectTypeOf(headers).toEqualTypeOf<undefined>();
      expectTypeOf(body).toEqualTypeOf<undefined>();
      return answer;
    },
  });
});

test("the principal is there unless anybody may call", () => {
  defineRoute({
    method: "GET",
    path: "/a",
    replies: reply,
    handler: ({ principal }) => {
      expectTypeOf(principal).toEqualTypeOf<Principal>();
      return answer;
    },
  });
  defineRoute({
    method: "GET",
    path: "/a",
    auth: "none",
    replies: reply,
    handler: ({ principal }) => {
      expectTypeOf(principal).toEqualTypeOf<undefined>();
      return answer;
    },
  });
});

test("reading routes cannot write", () => {
  defineRoute({
    method: "GET",
    path: "/a",
    replies: reply,
    handler: ({ tx }) => {
      expectTypeOf(tx).toEqualTypeOf<Reader>();
      return answer;
    },
  });
  defineRoute({
    method: "DELETE",
    path: "/a",
    replies: reply,
    handler: ({ tx }) => {
      expectTypeOf(tx).toEqualTypeOf<Transaction>();
      return answer;
    },
  });
});

test("a GET that says so can write", () => {
  const route = defineRoute({
    method: "GET",
    path: "/a",
    transaction: "write",
    replies: reply,
    handler: ({ tx }) => {
      expectTypeOf(tx).toEqualTypeOf<Transaction>();
      return answer;
    },
  });
  expect(route).toMatchObject({ transaction: "write", idempotency: "none" });
});

test("replies are checked against what is declared", () => {
  const replies = {
    201: z.object({ id: z.string(), tags: z.array(z.string()) }),
    204: null,
    409: z.object({ why: z.string() }),
  };
  defineRoute({
    method: "POST",
    path: "/a",
    replies,
    handler: async ({ request }) => {
      if (request.id === "1") return { status: 204 };
      if (request.id === "2")
        return { status: 409, body: { why: "state" }, headers: { "x-a": "b" } };
      return { status: 201, body: { id: "a", tags: ["x"] } };
    },
  });
  const post = { method: "POST", path: "/a", replies } as const;
  const route = defineRoute({ ...post, handler: () => ({ status: 204 }) });
  expect(route.replies).toBe(replies);
  defineRoute({ ...post, handler: () => ({ status: 201, body: { id: "a", tags: [] } }) });
  // @ts-expect-error -- 200 is not declared
  defineRoute({ ...post, handler: () => ({ status: 200, body: {} }) });
  // @ts-expect-error -- the body lacks a field
  defineRoute({ ...post, handler: () => ({ status: 201, body: { id: "a" } }) });
  // @ts-expect-error -- a field has another type
  defineRoute({ ...post, handler: () => ({ status: 409, body: { why: 1 } }) });
  // @ts-expect-error -- the body belongs to another status
  defineRoute({ ...post, handler: () => ({ status: 201, body: { why: "state" } }) });
  // @ts-expect-error -- this status has no body
  defineRoute({ ...post, handler: () => ({ status: 204, body: { id: "a" } }) });
});

test.each([
  ["a path without a slash", { path: "things" }],
  ["a trailing slash", { path: "/things/" }],
  ["a wildcard", { path: "/things/*" }],
  ["a pattern", { path: "/things/:id(\\d+)" }],
  ["a parameter without a name", { path: "/things/:" }],
  ["roles without a principal", { auth: "none", roles: ["admin"] }],
  ["scopes without a principal", { auth: "none", scopes: ["a"] }],
  ["a key on a GET", { method: "GET", idempotency: "optional" }],
  ["a body on a GET", { method: "GET", body: z.object({}) }],
  ["a POST on a snapshot", { transaction: "read" }],
  ["no reply", { replies: {} }],
] as const)("%s is refused", (_what, options) => {
  const declaration = {
    method: "POST",
    path: "/things",
    replies: reply,
    handler: () => answer,
  } as const;
  expect(() => defineRoute({ ...declaration, ...options } as typeof declaration)).toThrow(
    TypeError,
  );
});

test("defaults are filled in", () => {
  const write = defineRoute({ method: "PUT", path: "/a", replies: reply, handler: () => answer });
  expect(write).toMatchObject({
    auth: "jwt",
    idempotency: "optional",
    maxBodyBytes: 1_048_576,
    scopes: [],
    tags: [],
  });
  const open = defineRoute({
    method: "PUT",
    path: "/a",
    auth: "none",
    replies: reply,
    handler: () => answer,
  });
  expect(open.idempotency).toBe("none");
});
