import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute, listQuery, pageOf } from "../../src/edge/index.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

const versions = { default: "1", mediaType: "application/vnd.acme" } as const;
const owner = z.object({ name: z.string() });

const first = defineRoute({
  method: "GET",
  path: "/things/:id",
  version: "1",
  auth: "none",
  deprecated: { at: "2025-01-01", sunsetAt: "2026-03-01", successor: "/things/:id" },
  replies: { 200: z.object({ owner: z.string() }) },
  handler: () => ({ status: 200, body: { owner: "Ada" } }),
});
const second = defineRoute({
  method: "GET",
  path: "/things/:id",
  version: "2",
  auth: "none",
  etag: true,
  cors: { origins: ["https://shop.example.com"] },
  replies: { 200: z.object({ owner }) },
  handler: () => ({ status: 200, body: { owner: { name: "Ada" } } }),
});
const onlySecond = defineRoute({
  method: "GET",
  path: "/parts",
  version: "2",
  auth: "none",
  replies: { 200: z.object({}) },
  handler: () => ({ status: 200, body: {} }),
});
const always = defineRoute({
  method: "GET",
  path: "/always",
  auth: "none",
  replies: { 200: z.object({}) },
  handler: () => ({ status: 200, body: {} }),
});

function creating(version: string) {
  return defineRoute({
    method: "POST",
    path: "/things",
    version,
    maxBodyBytes: version === "1" ? 20 : 1_000,
    body: z.object({ name: z.string() }),
    replies: { 201: z.object({ by: z.string() }) },
    handler: () => ({ status: 201, body: { by: version } }),
  });
}

function listing(version: string) {
  return defineRoute({
    method: "GET",
    path: "/list",
    version,
    auth: "none",
    query: listQuery({}),
    replies: { 200: pageOf(z.object({ id: z.string() })) },
    handler: ({ list }) => {
      list.position();
      const rows = [{ id: "a" }, { id: "b" }];
      return { status: 200, body: list.page(rows, 1, ({ id }) => ({ id })) };
    },
  });
}

const routes = [
  first,
  second,
  onlySecond,
  always,
  creating("1"),
  creating("2"),
  listing("1"),
  listing("2"),
];

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness(routes, { versions });
});
afterAll(() => harness.stop());

async function read(url: string, headers: Record<string, string> = {}, method = "GET" as const) {
  const answer = await harness.edge.inject({ method, url, headers });
  return { status: answer.statusCode, headers: answer.headers, json: answer.json() };
}

const one = { owner: "Ada" };
const two = { owner: { name: "Ada" } };
const vendor = (version: string) => `application/vnd.acme.v${version}+json`;

test.each([
  ["nothing", {}, one, "1", "application/json; charset=utf-8"],
  ["the header", { "api-version": "2" }, two, "2", "application/json; charset=utf-8"],
  ["a media type", { accept: vendor("2") }, two, "2", `${vendor("2")}; charset=utf-8`],
  [
    "a media type with a parameter",
    { accept: "application/vnd.acme+json; version=2" },
    two,
    "2",
    `${vendor("2")}; charset=utf-8`,
  ],
  [
    "a media type among others",
    { accept: `text/html;q=0.9, ${vendor("2")};q=0.8, */*` },
    two,
    "2",
    `${vendor("2")}; charset=utf-8`,
  ],
  [
    "both, of which the header counts",
    { "api-version": "1", accept: vendor("2") },
    one,
    "1",
    "application/json; charset=utf-8",
  ],
  [
    "a media type that is another",
    { accept: "application/vnd.acmes.v2+json" },
    one,
    "1",
    "application/json; charset=utf-8",
  ],
  ["any media type", { accept: "*/*" }, one, "1", "application/json; charset=utf-8"],
])("a version is asked for by %s", async (_, headers, body, version, type) => {
  const answer = await read("/things/1", headers);
  expect([answer.status, answer.json]).toEqual([200, body]);
  expect(answer.headers).toMatchObject({ "api-version": version, "content-type": type });
  expect(answer.headers["vary"]).toContain("api-version, accept");
});

test("HEAD has the version of its GET", async () => {
  const answer = await harness.edge.inject({
    method: "HEAD",
    url: "/things/1",
    headers: { "api-version": "2" },
  });
  expect([answer.statusCode, answer.headers["api-version"]]).toEqual([200, "2"]);
});

test("a version that is not there is told by the header 400, by the media type 406, and which are", async () => {
  const byHeader = await read("/things/1", { "api-version": "3" });
  expect([byHeader.status, byHeader.json.error]).toMatchObject([
    400,
    {
      code: "unknown_version",
      param: "headers.api-version",
      message: "This path has version 1, 2",
    },
  ]);
  const byType = await read("/things/1", { accept: vendor("3") });
  expect([byType.status, byType.json.error.code]).toEqual([406, "not_acceptable"]);
  const byDefault = await read("/parts");
  expect([byDefault.status, byDefault.json.error.message]).toEqual([
    400,
    "This path has version 2",
  ]);
  for (const { headers } of [byHeader, byType]) expect(headers["vary"]).toBe("api-version, accept");
});

test("what has no versions answers whatever is asked for, and an unknown path is unknown", async () => {
  const answer = await read("/always", { "api-version": "9" });
  expect(answer.status).toBe(200);
  expect(answer.headers).not.toHaveProperty("api-version");
  expect((await read("/nowhere", { "api-version": "9" })).status).toBe(404);
  const other = await harness.edge.inject({
    method: "DELETE",
    url: "/things/1",
    headers: { "api-version": "9" },
  });
  expect([other.statusCode, other.headers["allow"]]).toEqual([405, "GET, HEAD, OPTIONS"]);
});

test("each version has its own word on deprecation, pages and bodies", async () => {
  const old = await read("/things/1");
  expect(old.headers).toHaveProperty("deprecation");
  const origin = "https://shop.example.com";
  const recent = await read("/things/1", { "api-version": "2", origin });
  expect(recent.headers).not.toHaveProperty("deprecation");
  expect(recent.headers).toHaveProperty("etag");
  expect(recent.headers["vary"]).toBe("Origin, api-version, accept");
  const authorization = await harness.bearer();
  const create = (version: string) =>
    harness.edge.inject({
      method: "POST",
      url: "/things",
      headers: { authorization, "api-version": version },
      payload: { name: "longer than twenty" },
    });
  expect((await create("1")).statusCode).toBe(413);
  expect((await create("2")).json()).toEqual({ by: "2" });
});

test("a key that was used in one version is not good for another, nor is a cursor", async () => {
  const authorization = await harness.bearer();
  const create = (version: string) =>
    harness.edge.inject({
      method: "POST",
      url: "/things",
      headers: { authorization, "api-version": version, "idempotency-key": "versions-1" },
      payload: { name: "a" },
    });
  expect((await create("1")).statusCode).toBe(201);
  expect((await create("2")).json().error.code).toBe("idempotency_key_reused");
  expect((await create("1")).headers["idempotent-replayed"]).toBe("true");
  const { nextCursor } = (await read("/list?limit=1")).json;
  const after = `/list?limit=1&cursor=${nextCursor}`;
  expect((await read(after)).status).toBe(200);
  const other = await read(after, { "api-version": "2" });
  expect(other.json.error.code).toBe("invalid_cursor");
});

test("there is a document of each version", async () => {
  const byDefault = (await read("/openapi.json")).json;
  const ofTwo = (await read("/openapi.json?version=2")).json;
  expect(Object.keys(byDefault.paths)).toEqual(["/things/{id}", "/always", "/things", "/list"]);
  expect(Object.keys(ofTwo.paths)).toContain("/parts");
  expect(byDefault.paths["/things/{id}"].get.deprecated).toBe(true);
  expect(ofTwo.paths["/things/{id}"].get).not.toHaveProperty("deprecated");
  expect(ofTwo.paths["/things/{id}"].get.parameters).toContainEqual({
    name: "api-version",
    in: "header",
    required: true,
    schema: { const: "2" },
  });
  const unknown = await read("/openapi.json?version=3");
  expect([unknown.status, unknown.json.error.code]).toEqual([400, "unknown_version"]);
});

test.each([
  [{ default: "3" }, /no route has the default version 3/],
  [{ default: "1", header: "api version" }, /is no header/],
  [{ default: "1", mediaType: "text/html" }, /a media type is/],
])("%j is no choice of versions", async (options, message) => {
  await expect(startHarness(routes, { versions: options })).rejects.toThrow(message);
});

test("a server with versions says how they are asked for; two routes of one version are too many", async () => {
  await expect(startHarness([first])).rejects.toThrow(/GET \/things\/:id has a version/);
  await expect(startHarness([first, { ...first }], { versions })).rejects.toThrow();
  expect(() =>
    defineRoute({
      method: "GET",
      path: "/always",
      version: "one two",
      replies: { 204: null },
      handler: () => ({ status: 204 }),
    }),
  ).toThrow(/version is made of/);
});
