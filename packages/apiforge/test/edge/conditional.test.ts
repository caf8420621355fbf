import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute, ndjsonReply, notFound, textReply } from "../../src/edge/index.ts";
import { cacheControl } from "../../src/edge/caching/cache-control.ts";
import { entityTag, hasStrongTag, hasTag } from "../../src/edge/caching/entity-tag.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

let content = "first";
const thing = defineRoute({
  method: "GET",
  path: "/things/:id",
  auth: "none",
  etag: true,
  cors: { origins: ["https://shop.example.com"] },
  cache: { maxAgeSeconds: 60, public: true, staleWhileRevalidateSeconds: 5 },
  replies: { 200: z.object({ content: z.string() }), 203: z.object({}) },
  handler({ params }) {
    if (params.id === "absent") throw notFound();
    if (params.id === "other") return { status: 203, body: {} };
    return { status: 200, body: { content }, headers: { "x-of-handler": "yes" } };
  },
});
const text = defineRoute({
  method: "GET",
  path: "/text",
  etag: true,
  replies: { 200: textReply("text/csv; charset=utf-8") },
  handler: () => ({ status: 200, body: "ä,b" }),
});
const personal = defineRoute({
  method: "GET",
  path: "/personal",
  etag: true,
  cache: { maxAgeSeconds: 1 },
  replies: { 200: z.object({}) },
  handler: () => ({ status: 200, body: {}, headers: { vary: "Accept" } }),
});
const ofAnyCredential = defineRoute({
  method: "GET",
  path: "/of-any-credential",
  auth: "optional",
  cache: { maxAgeSeconds: 1 },
  replies: { 200: z.object({}) },
  handler: () => ({ status: 200, body: {} }),
});
const streamed = defineRoute({
  method: "GET",
  path: "/streamed",
  auth: "none",
  etag: true,
  cache: { maxAgeSeconds: 0, noStore: true },
  replies: { 200: ndjsonReply(z.number()) },
  handler: () => ({ status: 200, stream: numbers() }),
});
const plain = defineRoute({
  method: "GET",
  path: "/plain",
  auth: "none",
  replies: { 200: z.object({}) },
  handler: () => ({ status: 200, body: {} }),
});

async function* numbers() {
  yield 1;
}

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness([thing, text, personal, ofAnyCredential, streamed, plain]);
});
afterAll(() => harness.stop());

function read(url: string, headers: Record<string, string> = {}, method: "GET" | "HEAD" = "GET") {
  return harness.edge.inject({ url, method, headers });
}

async function tagOf(url: string, headers: Record<string, string> = {}): Promise<string> {
  const answer = await read(url, headers);
  expect(answer.statusCode).toBe(200);
  return String(answer.headers["etag"]);
}

test("the tag is strong and of the bytes: it stays with them and goes with them", async () => {
  content = "one";
  const tag = await tagOf("/things/1");
  expect(tag).toMatch(/^"[\w-]{43}"$/);
  expect(await tagOf("/things/2")).toBe(tag);
  content = "two";
  expect(await tagOf("/things/1")).not.toBe(tag);
});

test("304 has no body and the headers of the 200", async () => {
  const full = await read("/things/1");
  const etag = String(full.headers["etag"]);
  const answer = await read("/things/1", { "if-none-match": etag });
  expect(answer.statusCode).toBe(304);
  expect(answer.body).toBe("");
  expect(answer.headers).toMatchObject({
    etag,
    vary: "Origin",
    "cache-control": "public, max-age=60, stale-while-revalidate=5",
    "x-of-handler": "yes",
    "x-request-id": expect.any(String),
  });
  expect(answer.headers).not.toHaveProperty("content-length");
  expect(answer.headers).not.toHaveProperty("content-type");
});

test("over a socket, where a body would be taken for the next answer, 304 is followed by the next", async () => {
  const own = await startHarness([thing]);
  try {
    const { url } = await own.edge.listen({ port: 0, host: "127.0.0.1" });
    for (const method of ["GET", "HEAD", "GET"]) {
      const full = await fetch(`${url}/things/1`, { method });
      await full.arrayBuffer();
      const headers = { "if-none-match": full.headers.get("etag") ?? "" };
      const again = await fetch(`${url}/things/1`, { method, headers });
      expect([full.status, again.status]).toEqual([200, 304]);
      expect(await again.text()).toBe("");
    }
  } finally {
    await own.stop();
  }
});

test("HEAD has the tag and the length of the GET, with 304 too", async () => {
  const get = await read("/things/1");
  const head = await read("/things/1", {}, "HEAD");
  const { etag, "content-length": length } = get.headers;
  expect(head.headers).toMatchObject({ etag, "content-length": length });
  const unchanged = await read("/things/1", { "if-none-match": String(etag) }, "HEAD");
  expect(unchanged.statusCode).toBe(304);
  expect(unchanged.body).toBe("");
  expect(unchanged.headers).toMatchObject({ etag, "content-length": length });
});

test("the caller's own cache may keep what the route declares, apart for each token", async () => {
  const headers = { authorization: await harness.bearer() };
  const answer = await read("/personal", headers);
  const etag = String(answer.headers["etag"]);
  const unchanged = await read("/personal", { ...headers, "if-none-match": etag });
  expect([answer.statusCode, unchanged.statusCode]).toEqual([200, 304]);
  for (const { headers: seen } of [answer, unchanged]) {
    expect(seen).toMatchObject({
      "cache-control": "private, max-age=1",
      vary: "Accept, Authorization",
    });
  }
});

test("where keys are taken it is kept apart for each key as well", async () => {
  const answer = await read("/of-any-credential");
  expect(answer.headers["vary"]).toBe("Authorization, X-Api-Key");
});

test("a tag alone leaves the answer to a principal out of every cache", async () => {
  const headers = { authorization: await harness.bearer() };
  const etag = await tagOf("/text", headers);
  expect(etag).toBe(entityTag("ä,b"));
  const unchanged = await read("/text", { ...headers, "if-none-match": etag });
  expect(unchanged.statusCode).toBe(304);
  expect(unchanged.headers["cache-control"]).toBe("no-store");
});

test("a caller without a token is told nothing by a tag", async () => {
  const answer = await read("/personal", { "if-none-match": "*" });
  expect(answer.statusCode).toBe(401);
  expect(answer.headers).toMatchObject({ "cache-control": "no-store" });
  expect(answer.headers).not.toHaveProperty("etag");
});

test.each([
  ["/things/absent", 404],
  ["/things/other", 203],
  ["/streamed", 200],
  ["/plain", 200],
])(
  "%s, whose answer has no tag, is answered with %i whatever the conditions",
  async (url, status) => {
    const answer = await read(url, { "if-none-match": "*", "if-match": '"x"' });
    expect(answer.statusCode).toBe(status);
    expect(answer.headers).not.toHaveProperty("etag");
  },
);

test("If-Match with another tag is 412, and looked at before If-None-Match", async () => {
  const tag = await tagOf("/things/1");
  for (const ifMatch of ['"other"', `W/${tag}`, "", tag.slice(1, -1)]) {
    const answer = await read("/things/1", { "if-match": ifMatch, "if-none-match": tag });
    expect([ifMatch, answer.statusCode]).toEqual([ifMatch, 412]);
    expect(answer.json().error.code).toBe("precondition_failed");
  }
  for (const ifMatch of [tag, "*", `"other", ${tag}`]) {
    expect((await read("/things/1", { "if-match": ifMatch })).statusCode).toBe(200);
  }
});

test("the document shows 304, the tag and the conditions, where the route has them", async () => {
  const { paths, components } = (await read("/openapi.json")).json();
  const { parameters, responses } = paths["/things/{id}"].get;
  for (const status of ["200", "304"]) {
    expect(responses[status].headers).toMatchObject({
      ETag: { $ref: "#/components/headers/ETag" },
      "Cache-Control": { $ref: "#/components/headers/CacheControl" },
    });
  }
  expect(responses["304"]).not.toHaveProperty("content");
  expect(responses["203"].headers).not.toHaveProperty("ETag");
  expect(parameters).toContainEqual({ $ref: "#/components/parameters/IfNoneMatch" });
  expect(components.parameters.IfNoneMatch.name).toBe("If-None-Match");
  expect(components.headers.ETag.description).toBeTypeOf("string");
  expect(paths["/plain"].get.responses).not.toHaveProperty("304");
  expect(paths["/streamed"].get.responses).not.toHaveProperty("304");
});

// What a header's value can be made of (RFC 9110 section 5.5), with what lists are made of more often.
const fieldValue = fc
  .array(
    fc.oneof(
      fc.constantFrom('"', ",", "W/", "*", " ", "\t", "\\", ";"),
      fc.integer({ min: 0x21, max: 0xff }).map((code) => String.fromCharCode(code)),
    ),
    { maxLength: 30 },
  )
  .map((parts) => parts.join("").replaceAll("\u007f", ""));
const bodies = fc.string({ unit: "binary", maxLength: 200 });

test("bodies have equal tags exactly where their bytes are equal", () => {
  fc.assert(
    fc.property(bodies, bodies, (one, other) => {
      const areEqual = Buffer.from(one).equals(Buffer.from(other));
      expect(entityTag(one) === entityTag(other)).toBe(areEqual);
    }),
  );
});

test("the tag just sent is always 304, as weak one and among others too", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ maxLength: 50 }),
      fc.array(fc.stringMatching(/^(W\/)?"[!#-~]{0,8}"$/), { maxLength: 4 }),
      fc.nat(4),
      fc.boolean(),
      async (next, others, at, isWeak) => {
        content = next;
        const tag = await tagOf("/things/1");
        const members = others.toSpliced(at, 0, isWeak ? `W/${tag}` : tag);
        const answer = await read("/things/1", { "if-none-match": members.join(", ") });
        expect(answer.statusCode).toBe(304);
      },
    ),
  );
});

test("garbage in a list never throws and matches nothing", async () => {
  await fc.assert(
    fc.asyncProperty(fieldValue, async (garbage) => {
      const tag = entityTag("a body that no garbage names");
      expect(hasTag(garbage, tag)).toBe(garbage.trim() === "*");
      expect(hasStrongTag(garbage, tag)).toBe(garbage.trim() === "*");
      const answer = await read("/things/1", { "if-none-match": garbage });
      expect(answer.statusCode).toBe(garbage.trim() === "*" ? 304 : 200);
    }),
  );
});

test("Cache-Control is what the options mean", () => {
  expect(cacheControl({ maxAgeSeconds: 0 })).toBe("private, max-age=0");
  expect(cacheControl({ maxAgeSeconds: 0, noStore: true })).toBe("no-store");
  for (const maxAgeSeconds of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => cacheControl({ maxAgeSeconds })).toThrow(/whole number/);
  }
  expect(() => cacheControl({ maxAgeSeconds: 1, noStore: true })).toThrow(/not stored/);
});

test("what cannot work is refused at the start, naming the route", () => {
  const common = { replies: { 200: z.object({}) }, path: "/refused" } as const;
  const handler = () => ({ status: 200, body: {} }) as const;
  const cache = { maxAgeSeconds: 1, public: true };
  expect(() => defineRoute({ ...common, method: "POST", etag: true, handler })).toThrow(
    "Route POST /refused: etag and cache are for a GET",
  );
  expect(() => defineRoute({ ...common, method: "GET", cache, handler })).toThrow(
    "Route GET /refused: a public cache",
  );
});

test.each(['w/"tag"', 'x"tag"', '"tag"x', '"a" "tag"', 'W/ "tag"'])(
  "%s in a list is no tag, and matches nothing",
  (member) => {
    for (const list of [member, `"other", ${member}`]) {
      expect(hasStrongTag(list, '"tag"')).toBe(false);
      expect(hasTag(list, '"tag"')).toBe(false);
    }
  },
);

test.each(['"tag"', '"a,b","tag"', ',, "tag" ,', '"other",\t"tag"', '"a,", "tag"'])(
  "%s has the tag",
  (list) => {
    expect(hasStrongTag(list, '"tag"')).toBe(true);
    expect(hasTag(list.replace('"tag"', 'W/"tag"'), '"tag"')).toBe(true);
  },
);
