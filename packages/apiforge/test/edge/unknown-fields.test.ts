import { Type } from "typebox";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";

import { batchBody, defineRoute, type Route, type UnknownFields } from "../../src/edge/index.ts";
import { defineBatch } from "../../src/durable/index.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

const open = Type.Object({
  a: Type.Number(),
  in: Type.Optional(Type.Object({ b: Type.Number() })),
});
const loose = z.looseObject({ a: z.number() });

/** Answers what the handler was given. */
function echo(path: string, body: Route["body"], unknownFields: UnknownFields): Route {
  return defineRoute({
    method: "POST",
    path,
    auth: "none",
    body,
    unknownFields,
    replies: { 200: z.object({ seen: z.string() }) },
    handler: (context) => ({ status: 200, body: { seen: JSON.stringify(context.body) } }),
  });
}

async function post(routes: readonly Route[], url: string, payload: object) {
  harness ??= await startHarness(routes);
  const answer = await harness.edge.inject({ method: "POST", url, payload });
  return answer.json<{ seen?: string; error?: { code: string; param: string } }>();
}

describe("a field that a body's schema does not declare", () => {
  const value = { a: 1, x: 2, in: { b: 3, y: 4 } };

  test("is refused by its path unless the route says otherwise", async () => {
    const answer = await post([echo("/", open, "refuse")], "/", { a: 1, in: { b: 3, y: 4 } });
    expect(answer.error).toMatchObject({ code: "unknown_field", param: "body.in.y" });
  });

  test("can be taken away, at any depth, before the handler sees it", async () => {
    const answer = await post([echo("/", open, "remove")], "/", value);
    expect(answer.seen).toBe('{"a":1,"in":{"b":3}}');
  });

  test("can be kept, where the schema lets it pass", async () => {
    const routes = [echo("/typebox", open, "keep"), echo("/zod", loose, "keep")];
    expect((await post(routes, "/typebox", value)).seen).toBe(JSON.stringify(value));
    expect((await post(routes, "/zod", value)).seen).toBe(JSON.stringify(value));
  });

  test("is kept out all the same by a schema that refuses it itself", async () => {
    const closed = Type.Object({ a: Type.Number() }, { additionalProperties: false });
    const answer = await post([echo("/", closed, "keep")], "/", { a: 1, x: 2 });
    expect(answer.error).toMatchObject({ code: "validation_failed", param: "body.x" });
  });
});

test("one schema with names inside serves any number of routes", async () => {
  const named = Type.Object({
    size: Type.Object({ width: Type.Number() }, { $id: "https://example.com/size" }),
  });
  const routes = [echo("/one", named, "refuse"), echo("/two", named, "refuse")];
  for (const url of ["/one", "/two"]) {
    expect((await post(routes, url, { size: { width: 1 } })).seen).toBe('{"size":{"width":1}}');
    expect((await post(routes, url, { size: {} })).error?.param).toBe("body.size.width");
  }
});

test("a body of many items always refuses them", () => {
  const batch = defineBatch("sums", {
    item: z.object({ a: z.number() }),
    run: async () => undefined,
  });
  expect(() => echo("/", batchBody(batch, { field: "items" }), "remove")).toThrow("one JSON value");
});
