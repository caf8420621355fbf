import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute, listQuery, ndjsonReply, pageOf } from "../../src/edge/index.ts";
import { select, selectionOf } from "../../src/edge/fields/selection.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

const owner = z.object({ email: z.string(), phone: z.string() });
const thing = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(["open", "done"]),
  owner: owner.nullable(),
  parts: z.array(z.object({ label: z.string(), size: z.number() })),
  notes: z.record(z.string(), z.object({ text: z.string(), by: z.string() })),
  free: z.unknown(),
});
const full = {
  id: "1",
  name: "One",
  state: "open" as const,
  owner: { email: "a@example.com", phone: "1" },
  parts: [
    { label: "a", size: 1 },
    { label: "b", size: 2 },
  ],
  notes: { first: { text: "t", by: "b" } },
  free: { any: { where: 1, there: 2 } },
  secret: "never declared",
};

const one = defineRoute({
  method: "GET",
  path: "/things/:id",
  auth: "none",
  etag: true,
  replies: { 200: thing, 404: z.object({ reason: z.string(), id: z.string() }) },
  handler: ({ params }) =>
    params.id === "absent"
      ? { status: 404, body: { reason: "absent", id: params.id } }
      : { status: 200, body: params.id === "orphan" ? { ...full, owner: null } : full },
});
const wrapped = defineRoute({
  method: "GET",
  path: "/wrapped",
  auth: "none",
  replies: { 200: z.object({ success: z.literal(true), data: thing }) },
  handler: () => ({ status: 200, body: { success: true as const, data: full } }),
});
const event = defineRoute({
  method: "GET",
  path: "/event",
  auth: "none",
  replies: { 200: z.object({ id: z.string(), data: z.object({ id: z.string() }) }) },
  handler: () => ({ status: 200, body: { id: "evt", data: { id: "inner" } } }),
});
const names = ["a", "b", "c"];
const list = defineRoute({
  method: "GET",
  path: "/list",
  auth: "none",
  query: listQuery({}),
  replies: { 200: pageOf(z.object({ id: z.string(), name: z.string() })) },
  handler: ({ query, list: pages }) => {
    const after = pages.position<{ id: string }>()?.id ?? "";
    const rows = names.filter((id) => id > after).map((id) => ({ id, name: `name ${id}` }));
    return { status: 200, body: pages.page(rows, query.limit, ({ id }) => ({ id })) };
  },
});
const choice = defineRoute({
  method: "GET",
  path: "/choice",
  auth: "none",
  replies: {
    200: z.union([
      z.object({ kind: z.literal("cat"), lives: z.number() }),
      z.object({ kind: z.literal("dog"), tricks: z.number() }),
    ]),
  },
  handler: () => ({ status: 200, body: { kind: "dog" as const, tricks: 3 } }),
});
const ownMeaning = defineRoute({
  method: "GET",
  path: "/own",
  auth: "none",
  query: z.object({ fields: z.enum(["wheat", "corn"]) }),
  replies: { 200: z.object({ grows: z.string() }) },
  handler: ({ query }) => ({ status: 200, body: { grows: query.fields } }),
});
const without = defineRoute({
  method: "GET",
  path: "/without",
  auth: "none",
  fields: false,
  query: z.object({}),
  replies: { 200: z.object({ id: z.string() }) },
  handler: () => ({ status: 200, body: { id: "1" } }),
});
const seen: unknown[] = [];
const create = defineRoute({
  method: "POST",
  path: "/things",
  fields: true,
  query: z.object({ dry: z.string().optional() }),
  body: z.object({ name: z.string() }),
  replies: { 201: z.object({ id: z.string(), name: z.string() }) },
  handler: ({ body, query }) => {
    seen.push(query);
    return { status: 201, body: { id: `thing_${seen.length}`, name: body.name } };
  },
});

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness([one, wrapped, event, list, choice, ownMeaning, without, create]);
});
afterAll(() => harness.stop());

async function read(url: string, headers: Record<string, string> = {}) {
  const answer = await harness.edge.inject({ url, headers });
  return { ...answer, status: answer.statusCode, json: answer.body === "" ? null : answer.json() };
}

test.each([
  ["id,name", { id: "1", name: "One" }],
  ["name,id", { id: "1", name: "One" }],
  ["owner", { owner: full.owner }],
  ["owner.email", { owner: { email: "a@example.com" } }],
  ["owner.email,owner", { owner: full.owner }],
  ["parts.label", { parts: [{ label: "a" }, { label: "b" }] }],
  ["notes.first.by,notes.second", { notes: { first: { by: "b" } } }],
  ["free.any.where", { free: { any: { where: 1 } } }],
])("%s is what is sent of an object", async (fields, expected) => {
  const { status, json } = await read(`/things/1?fields=${fields}`);
  expect([status, json]).toEqual([200, expected]);
});

test("a field that is null stays null, whatever was asked of it", async () => {
  expect((await read("/things/orphan?fields=owner.email")).json).toEqual({ owner: null });
});

test.each([
  ["secret", "secret"],
  ["id,owner.emial", "owner.emial"],
  ["parts.0", "parts.0"],
  ["id.length", "id.length"],
  ["state.x", "state.x"],
  ["notes.first.secret", "notes.first.secret"],
  ["__proto__", "__proto__"],
  ["constructor", "constructor"],
])("%s is refused, and the message says which field is unknown", async (fields, name) => {
  const { status, json } = await read(`/things/1?fields=${fields}`);
  expect(status).toBe(400);
  expect(json.error).toMatchObject({
    code: "unknown_field",
    param: "query.fields",
    message: `${name} is not a field of this answer`,
  });
});

test.each([
  "fields=",
  "fields=id,,name",
  "fields=owner.",
  "fields=id&fields=name",
  `fields=${"id,".repeat(700)}id`,
])("%s is no list of names", async (query) => {
  const { status, json } = await read(`/things/1?${query}`);
  expect([status, json.error.code, json.error.param]).toEqual([
    400,
    "validation_failed",
    "query.fields",
  ]);
});

test("an answer that is not of status 2xx is sent whole", async () => {
  const { status, json } = await read("/things/absent?fields=id");
  expect([status, json]).toEqual([404, { reason: "absent", id: "absent" }]);
});

test("names are those of the data where an answer is a page or says success", async () => {
  expect((await read("/wrapped?fields=id,owner.email")).json).toEqual({
    success: true,
    data: { id: "1", owner: { email: "a@example.com" } },
  });
  expect((await read("/wrapped?fields=success")).json.error.code).toBe("unknown_field");
  expect((await read("/event?fields=id")).json).toEqual({ id: "evt" });
  expect((await read("/event?fields=data.id")).json).toEqual({ data: { id: "inner" } });
});

test("a cursor goes on with the list whatever fields are asked for", async () => {
  const first = (await read("/list?limit=2&fields=id")).json;
  expect(first).toMatchObject({ data: [{ id: "a" }, { id: "b" }], hasMore: true });
  expect(first.data[0]).not.toHaveProperty("name");
  const second = await read(`/list?limit=2&fields=name&cursor=${first.nextCursor}`);
  expect(second.json).toEqual({ data: [{ name: "name c" }], hasMore: false, nextCursor: null });
});

test("each branch of a choice may be asked for; what the answer lacks is not there", async () => {
  expect((await read("/choice?fields=lives,tricks")).json).toEqual({ tricks: 3 });
  expect((await read("/choice?fields=wings")).json.error.code).toBe("unknown_field");
});

test("the tag is that of the fields that were sent, in whatever order they were asked for", async () => {
  const whole = await read("/things/1");
  const sparse = await read("/things/1?fields=id,name");
  const swapped = await read("/things/1?fields=name,id");
  const tag = String(sparse.headers["etag"]);
  expect(tag).not.toBe(whole.headers["etag"]);
  expect(swapped.headers["etag"]).toBe(tag);
  expect((await read("/things/1?fields=id,name", { "if-none-match": tag })).status).toBe(304);
  expect((await read("/things/1", { "if-none-match": tag })).status).toBe(200);
});

test("a route may mean something else by fields, or have none", async () => {
  expect((await read("/own?fields=corn")).json).toEqual({ grows: "corn" });
  expect((await read("/without?fields=id")).json.error.code).toBe("unknown_field");
});

test("a query that is a choice or made of parts keeps its own parameter fields", async () => {
  const answer = {
    method: "GET",
    auth: "none",
    replies: { 200: z.object({ id: z.string() }) },
  } as const;
  const own = z.object({ fields: z.string() });
  const combined = defineRoute({
    ...answer,
    path: "/combined",
    query: z.intersection(own, z.object({ more: z.string().optional() })),
    handler: ({ query }) => ({ status: 200, body: { id: query.fields } }),
  });
  const chosen = defineRoute({
    ...answer,
    path: "/chosen",
    query: z.union([own, z.object({ all: z.string() })]),
    handler: ({ query }) => ({ status: 200, body: { id: "fields" in query ? query.fields : "" } }),
  });
  const other = await startHarness([combined, chosen]);
  const urls = ["/combined?fields=corn", "/chosen?fields=corn"];
  const answers = await Promise.all(urls.map((url) => other.edge.inject({ url })));
  await other.stop();
  for (const sent of answers) expect(sent.json()).toEqual({ id: "corn" });
});

test("a write that has fields records the answer with them, and its key is not reused with others", async () => {
  const authorization = await harness.bearer();
  const write = async (url: string) => {
    const headers = { authorization, "idempotency-key": "sparse-1" };
    const answer = await harness.edge.inject({
      method: "POST",
      url,
      headers,
      payload: { name: "One" },
    });
    return [answer.statusCode, answer.json(), answer.headers["idempotent-replayed"]];
  };
  const before = seen.length;
  expect(await write("/things?fields=name")).toEqual([201, { name: "One" }, undefined]);
  expect(seen.at(-1)).toEqual({});
  expect(await write("/things?fields=name")).toEqual([201, { name: "One" }, "true"]);
  const [status, body] = await write("/things?fields=id");
  expect([status, body.error.code]).toEqual([422, "idempotency_key_reused"]);
  const [statusOfAll] = await write("/things");
  expect(statusOfAll).toBe(422);
  expect(seen.length).toBe(before + 1);
});

test("the document of the API names the parameter where a route has it", async () => {
  const { json } = await read("/openapi.json");
  const reference = { $ref: "#/components/parameters/Fields" };
  expect(json.paths["/things/{id}"].get.parameters).toContainEqual(reference);
  expect(json.paths["/without"].get.parameters).not.toContainEqual(reference);
  expect(json.components.parameters.Fields.name).toBe("fields");
});

test("a route cannot have fields where nothing declares any, or where the query has that name", async () => {
  const streamed = defineRoute({
    method: "GET",
    path: "/streamed",
    auth: "none",
    fields: true,
    replies: { 200: ndjsonReply(z.object({ id: z.string() })) },
    handler: () => ({ status: 200, stream: none() }),
  });
  await expect(startHarness([streamed])).rejects.toThrow(/GET \/streamed: fields: no reply/);
  const both = { ...ownMeaning, fields: true };
  await expect(startHarness([both])).rejects.toThrow(/GET \/own: fields: the query declares/);
});

async function* none() {
  yield* [];
}

const names3 = fc.constantFrom("a", "b", "c", "__proto__");
const paths = fc.array(fc.array(names3, { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 4,
});
const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, 1, "text"),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(names3, tie("value"), { noNullPrototype: true }),
  ),
})).value;

/** What has no fields, by the path of names that leads there. */
function leaves(at: unknown, path = ""): string[] {
  if (typeof at !== "object" || at === null) return [`${path}=${String(at)}`];
  if (Array.isArray(at)) return at.flatMap((item, index) => leaves(item, `${path}[${index}]`));
  return Object.keys(at).flatMap((name) => leaves(Reflect.get(at, name), `${path}.${name}`));
}

test("a selection only leaves out: what it has is what the value has there, and it has all that was asked for", () => {
  fc.assert(
    fc.property(paths, value, (asked, whole) => {
      const selection = selectionOf(asked);
      const selected = select(selection, whole);
      const all = leaves(whole);
      const chosen = new Set(leaves(selected));
      for (const leaf of chosen) expect(all).toContain(leaf);
      for (const leaf of all) {
        const path = leaf
          .replace(/=.*$/s, "")
          .replaceAll(/\[\d+\]/g, "")
          .split(".")
          .slice(1);
        const isAsked = asked.some((names2) =>
          names2.every((name, index) => index >= path.length || path[index] === name),
        );
        expect(chosen.has(leaf)).toBe(isAsked);
      }
      expect(select(selection, selected)).toEqual(selected);
    }),
  );
});
