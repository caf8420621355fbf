import type { OpenStore } from "@apiforge/testing/contracts";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";

import { conflict, defineRoute, ndjsonReply, notFound } from "../../src/edge/index.ts";
import { defineMigration } from "../../src/app/system.ts";
import { storeFixtures } from "../store/fixtures.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

const counter = z.object({ id: z.int(), name: z.string(), count: z.int() });
type Counter = z.infer<typeof counter>;
const byId = z.object({ id: z.coerce.number().int() });
const migrations = [
  defineMigration(
    "counters-0001",
    "create table counter (id integer primary key, name text not null, count integer not null)",
  ),
];

const readCounter = defineRoute({
  method: "GET",
  path: "/counters/:id",
  params: byId,
  etag: true,
  query: z.object({ verbose: z.stringbool().default(false) }),
  replies: { 200: counter },
  handler: async ({ params, tx }) => {
    const [row] = await tx.sql<Counter>`
      select id, name, count from counter where id = ${params.id}`;
    if (row === undefined) throw notFound("No such counter");
    return { status: 200, body: row };
  },
});

const changed = z.object({ count: z.int() });
const precondition = { representation: readCounter } as const;
let handled = 0;

const patchCounter = defineRoute({
  method: "PATCH",
  path: "/counters/:id",
  params: byId,
  precondition,
  body: changed,
  replies: { 200: counter },
  handler: async ({ params, body, tx }) => {
    handled++;
    if (body.count < 0) throw conflict("negative", "A count is not negative");
    const [row] = await tx.sql<Counter>`
      update counter set count = ${body.count} where id = ${params.id} returning id, name, count`;
    if (row === undefined) throw notFound("No such counter");
    return { status: 200, body: row };
  },
});

const putCounter = defineRoute({
  method: "PUT",
  path: "/counters/:id",
  params: byId,
  precondition,
  body: changed,
  replies: { 204: null },
  handler: async ({ params, body, tx }) => {
    handled++;
    await tx.sql`insert into counter (id, name, count) values (${params.id}, 'put', ${body.count})
      on conflict (id) do update set count = ${body.count}`;
    return { status: 204 };
  },
});

const deleteCounter = defineRoute({
  method: "DELETE",
  path: "/counters/:id",
  params: byId,
  precondition: { ...precondition, required: true },
  replies: { 204: null },
  handler: async ({ params, tx }) => {
    handled++;
    await tx.sql`delete from counter where id = ${params.id}`;
    return { status: 204 };
  },
});

/** Changes what the path above it is about. */
const renameCounter = defineRoute({
  method: "POST",
  path: "/counters/:id/names/:name",
  precondition,
  replies: { 204: null },
  handler: async ({ params, tx }) => {
    await tx.sql`update counter set name = ${params.name} where id = ${Number(params.id)}`;
    return { status: 204 };
  },
});

describe.for(storeFixtures)("conditional writes, $name", (fixture) => {
  let opened: OpenStore;
  let harness: Harness;
  let authorization: string;
  let nextId = 0;
  let path: string;

  beforeAll(async () => {
    opened = await fixture.open({ migrations });
    harness = await startHarness(
      [readCounter, patchCounter, putCounter, deleteCounter, renameCounter],
      { store: opened.store },
    );
    authorization = await harness.bearer();
  });
  afterAll(async () => {
    await harness.stop();
    await opened[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    path = `/counters/${++nextId}`;
    expect((await call("PUT", path, {}, { count: 0 })).status).toBe(204);
    handled = 0;
  });

  type Verb = "GET" | "PATCH" | "PUT" | "DELETE" | "POST";
  async function call(
    method: Verb,
    url: string,
    headers: Record<string, string> = {},
    payload?: object,
  ) {
    const answer = await harness.edge.inject({
      method,
      url,
      headers: { authorization, ...headers },
      ...(payload === undefined ? {} : { payload }),
    });
    return {
      status: answer.statusCode,
      headers: answer.headers,
      json: answer.body === "" ? undefined : answer.json(),
    };
  }

  async function current(): Promise<{ etag: string; count: number }> {
    const { status, headers, json } = await call("GET", path);
    expect(status).toBe(200);
    return { etag: String(headers["etag"]), count: json.count };
  }

  test("If-Match with the tag of what is there lets a write through, and no other", async () => {
    const { etag } = await current();
    expect((await call("PATCH", path, { "if-match": etag }, { count: 1 })).status).toBe(200);
    const refused = await call("PATCH", path, { "if-match": etag }, { count: 2 });
    expect([refused.status, refused.json.error.code]).toEqual([412, "precondition_failed"]);
    expect(handled).toBe(1);
    expect((await current()).count).toBe(1);
  });

  test.each([
    ["a list with the tag", (etag: string) => `"other", ${etag}`, 200],
    ["*", () => "*", 200],
    ["a weak tag", (etag: string) => `W/${etag}`, 412],
    ["what is no tag", () => "other", 412],
  ])("If-Match with %s", async (_, header, status) => {
    const { etag } = await current();
    const answer = await call("PATCH", path, { "if-match": header(etag) }, { count: 1 });
    expect(answer.status).toBe(status);
  });

  test("If-None-Match refuses what is there already: * makes only what is new", async () => {
    const once = { "if-none-match": "*" };
    expect((await call("PUT", path, once, { count: 5 })).status).toBe(412);
    path = `/counters/${++nextId}`;
    expect((await call("PUT", path, once, { count: 5 })).status).toBe(204);
    expect((await call("PUT", path, once, { count: 6 })).status).toBe(412);
    const { etag, count } = await current();
    expect(count).toBe(5);
    expect((await call("PUT", path, { "if-none-match": etag }, { count: 6 })).status).toBe(412);
    expect((await call("PUT", path, { "if-none-match": '"x"' }, { count: 6 })).status).toBe(204);
  });

  test("where nothing is, a PUT on a condition is refused and a PATCH is told that nothing is", async () => {
    path = `/counters/${++nextId}`;
    const tag = { "if-match": '"x"' };
    expect((await call("PUT", path, tag, { count: 1 })).status).toBe(412);
    const patched = await call("PATCH", path, tag, { count: 1 });
    expect([patched.status, patched.json.error.code]).toEqual([404, "not_found"]);
  });

  test("a route that asks for a condition refuses writes without one, before it does anything", async () => {
    const refused = await call("DELETE", path, { "idempotency-key": `without-${path}` });
    expect([refused.status, refused.json.error.code]).toEqual([428, "precondition_required"]);
    expect(handled).toBe(0);
    const { etag } = await current();
    const headers = { "if-match": etag, "idempotency-key": `without-${path}` };
    expect((await call("DELETE", path, headers)).status).toBe(204);
  });

  test("a success is replayed, though the tag that it was asked with is gone", async () => {
    const { etag } = await current();
    const headers = { "if-match": etag, "idempotency-key": `replay-${path}` };
    const first = await call("PATCH", path, headers, { count: 1 });
    const again = await call("PATCH", path, headers, { count: 1 });
    expect([first.status, again.status]).toEqual([200, 200]);
    expect(again.headers["idempotent-replayed"]).toBe("true");
    expect(again.json).toEqual(first.json);
    const afresh = { ...headers, "if-match": (await current()).etag };
    expect((await call("PATCH", path, afresh, { count: 1 })).json).toEqual(first.json);
    expect(handled).toBe(1);
  });

  test("a 412 is not recorded: with the tag of what is there the key does what it was for", async () => {
    const key = { "idempotency-key": `again-${path}` };
    const stale = { ...key, "if-match": '"stale"' };
    for (let turn = 0; turn < 2; turn++) {
      const refused = await call("PATCH", path, stale, { count: 1 });
      expect(refused.status).toBe(412);
      expect(refused.headers).not.toHaveProperty("idempotent-replayed");
    }
    const { etag } = await current();
    expect((await call("PATCH", path, { ...key, "if-match": etag }, { count: 1 })).status).toBe(
      200,
    );
    const replay = await call("PATCH", path, stale, { count: 1 });
    expect([replay.status, replay.headers["idempotent-replayed"]]).toEqual([200, "true"]);
  });

  test("a refusal of the handler itself is recorded as without a condition", async () => {
    const { etag } = await current();
    const headers = { "idempotency-key": `refusal-${path}`, "if-match": etag };
    await call("PATCH", path, headers, { count: -1 });
    const again = await call("PATCH", path, headers, { count: -1 });
    expect([again.status, again.headers["idempotent-replayed"]]).toEqual([409, "true"]);
  });

  test("the path below may be written on the condition of the one above", async () => {
    const { etag } = await current();
    const renamed = await call("POST", `${path}/names/new`, { "if-match": etag });
    const stale = await call("POST", `${path}/names/newer`, { "if-match": etag });
    expect([renamed.status, stale.status]).toEqual([204, 412]);
  });

  test("of writes on one tag at the same time exactly one is done, however its path is written", async () => {
    const { etag } = await current();
    const paths = [path, path.replace("counters/", "counters/0")];
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        call("PATCH", paths[index % 2] ?? path, { "if-match": etag }, { count: index + 1 }),
      ),
    );
    const done = answers.filter(({ status }) => status === 200);
    expect(done).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 412)).toHaveLength(11);
    expect((await current()).count).toBe(done[0]?.json.count);
  });

  test("counting by read, compare and write loses no count", async () => {
    const countUp = async (): Promise<void> => {
      for (;;) {
        const { etag, count } = await current();
        const answer = await call("PATCH", path, { "if-match": etag }, { count: count + 1 });
        if (answer.status === 200) return;
        expect(answer.status).toBe(412);
      }
    };
    await Promise.all(Array.from({ length: 8 }, () => countUp()));
    expect((await current()).count).toBe(8);
  });

  test("routes without a condition ignore the headers as before", async () => {
    const { status } = await call("GET", "/openapi.json", { "if-match": '"x"' });
    expect(status).toBe(200);
    const document = (await call("GET", "/openapi.json")).json;
    const references = document.paths["/counters/{id}"];
    expect(references.patch.parameters).toContainEqual({
      $ref: "#/components/parameters/WriteIfMatch",
    });
    expect(references.delete.parameters).toContainEqual({
      $ref: "#/components/parameters/RequiredWriteIfMatch",
    });
  });
});

const untagged = { ...readCounter, etag: false };
const streamed = defineRoute({
  method: "GET",
  path: "/counters/:id",
  etag: true,
  replies: { 200: ndjsonReply(counter) },
  handler: () => ({ status: 200, stream: none() }),
});
const storeless = { ...readCounter, transaction: "none" as const };

async function* none() {
  yield* [];
}

test.each([
  ["a GET without a tag", "/counters/:id", untagged, /GET with etag/],
  ["a streamed GET", "/counters/:id", streamed, /GET with etag/],
  ["a GET outside of transactions", "/counters/:id", storeless, /needs the transaction/],
  ["a GET of more parameters", "/counters", readCounter, /has a parameter that the route lacks/],
])("%s is no representation", (_, at, representation, message) => {
  expect(() =>
    defineRoute({
      method: "POST",
      path: at,
      precondition: { representation },
      replies: { 204: null },
      handler: () => ({ status: 204 }),
    }),
  ).toThrow(message);
});

test("a GET that needs a query is no representation", async () => {
  const asked = { ...readCounter, query: z.object({ at: z.string() }) };
  const write = { ...patchCounter, precondition: { representation: asked, required: false } };
  await expect(startHarness([write])).rejects.toThrow(/PATCH .* needs a query/);
});
