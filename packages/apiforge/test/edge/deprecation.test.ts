import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute, notFound, type DeprecationOptions } from "../../src/edge/index.ts";
import { compileDeprecation } from "../../src/edge/versions/deprecation.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

// The harness begins at 2026-01-01.
const yearMs = 365 * 24 * 3_600_000;

function old<const Path extends string>(path: Path, deprecated: DeprecationOptions) {
  return defineRoute({
    method: "GET",
    path,
    deprecated,
    replies: { 200: z.object({}), 404: z.object({}) },
    handler() {
      if (path.startsWith("/absent")) throw notFound();
      if (path.startsWith("/broken")) throw new Error("secret");
      return { status: 200, body: {}, headers: { link: '</next>; rel="next"' } };
    },
  });
}

const ending: DeprecationOptions = {
  at: "2025-06-01",
  sunsetAt: new Date("2026-12-31T23:59:59.500Z"),
  successor: "/v4/repos",
  docs: "https://example.com/moving?a=1",
};
const announced = {
  deprecation: "@1748736000",
  sunset: "Thu, 31 Dec 2026 23:59:59 GMT",
};
const links =
  '</v4/repos>; rel="successor-version", <https://example.com/moving?a=1>; rel="deprecation", ' +
  '<https://example.com/moving?a=1>; rel="sunset"';

const kept = old("/kept", { ...ending, keepServing: true });
const coming = old("/coming", { at: "2030-01-01T00:00:00+01:00" });
const routes = [old("/here", ending), old("/absent", ending), old("/broken", ending), kept, coming];

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness(routes);
});
afterAll(() => harness.stop());

async function get(url: string, method: "GET" | "HEAD" = "GET") {
  return harness.edge.inject({ url, method, headers: { authorization: await harness.bearer() } });
}

test.each([
  ["/absent", 404],
  ["/broken", 500],
])("the answer of %s, which fails, says that the route ends", async (url, status) => {
  const answer = await get(url);
  expect(answer.statusCode).toBe(status);
  expect(answer.headers).toMatchObject({ ...announced, link: links });
});

test("an answer's own links stay, for HEAD too", async () => {
  for (const method of ["GET", "HEAD"] as const) {
    const answer = await get("/here", method);
    expect(answer.statusCode).toBe(200);
    const link = `</next>; rel="next", ${links}`;
    expect(answer.headers).toMatchObject({ ...announced, link });
  }
});

test("a caller without a token learns it too", async () => {
  const answer = await harness.edge.inject({ url: "/here" });
  expect(answer.statusCode).toBe(401);
  expect(answer.headers).toMatchObject({ ...announced, link: links });
});

test("a deprecation may lie ahead, and need not have an end", async () => {
  const { headers } = await get("/coming");
  expect(headers["deprecation"]).toBe("@1893452400");
  expect(headers).not.toHaveProperty("sunset");
  expect(headers["link"]).toBe('</next>; rel="next"');
});

test("other routes say nothing", async () => {
  const { headers } = await harness.edge.inject({ url: "/nowhere" });
  expect(headers).not.toHaveProperty("deprecation");
});

test("the document marks the operation and describes the headers of its answers", async () => {
  const document = (await harness.edge.inject({ url: "/openapi.json" })).json();
  const { deprecated, responses } = document.paths["/here"].get;
  expect(deprecated).toBe(true);
  for (const name of ["Deprecation", "Sunset", "Link"]) {
    expect(responses["200"].headers[name]).toEqual({ $ref: `#/components/headers/${name}` });
    expect(document.components.headers[name].description).toBeTypeOf("string");
  }
  expect(document.paths["/coming"].get.responses["200"].headers).not.toHaveProperty("Sunset");
});

test("from its sunset on the route is gone, to callers without a token too", async () => {
  const own = await startHarness(routes);
  try {
    own.clock.advance(Date.parse("2026-12-31T23:59:59.499Z") - own.clock.now());
    expect((await own.edge.inject({ url: "/here" })).statusCode).toBe(401);
    own.clock.advance(1);
    const gone = await own.edge.inject({ url: "/here" });
    expect(gone.statusCode).toBe(410);
    expect(gone.json().error).toMatchObject({
      type: "invalid_request_error",
      code: "version_sunset",
      message: "This version ended on Thu, 31 Dec 2026 23:59:59 GMT",
    });
    expect(gone.headers).toMatchObject({ ...announced, link: links });
    const headers = { authorization: await own.bearer() };
    expect((await own.edge.inject({ url: "/kept", headers })).statusCode).toBe(200);
  } finally {
    await own.stop();
  }
});

const instants = fc.date({
  min: new Date("2000-01-01T00:00:00Z"),
  max: new Date("2100-01-01T00:00:00Z"),
  noInvalidDate: true,
});

test("a sunset is taken exactly from the same day and time of the next year on", () => {
  fc.assert(
    fc.property(instants, fc.integer({ min: -2 * yearMs, max: 3 * yearMs }), (at, afterMs) => {
      const sunsetAt = new Date(at.getTime() + afterMs);
      const compile = (force: boolean) => () => compileDeprecation({ at, sunsetAt, force });
      const [day, next] = [at.toISOString(), sunsetAt.toISOString()];
      fc.pre(!day.slice(5).startsWith("02-29"));
      const leavesYear = next >= `${Number(day.slice(0, 4)) + 1}${day.slice(4)}`;
      if (leavesYear) expect(compile(false)).not.toThrow();
      else expect(compile(false)).toThrow(afterMs < 0 ? /earlier/ : /twelve months/);
      if (afterMs < 0) expect(compile(true)).toThrow(/earlier/);
      else expect(compile(true)).not.toThrow();
    }),
  );
});

test("twelve months to the millisecond are enough, and after 29 February they end on 1 March", () => {
  const compile = (at: string, sunsetAt: string) => () => compileDeprecation({ at, sunsetAt });
  expect(compile("2026-03-01T10:00:00Z", "2027-03-01T10:00:00Z")).not.toThrow();
  expect(compile("2026-03-01T10:00:00Z", "2027-03-01T09:59:59.999Z")).toThrow(/twelve months/);
  expect(compile("2028-02-29", "2029-03-01")).not.toThrow();
  expect(compile("2028-02-29", "2029-02-28T23:59:59Z")).toThrow(/twelve months/);
});

test.each<[string, DeprecationOptions]>([
  ["at is no instant", { at: "tomorrow" }],
  ["at is no instant", { at: "2026-01-01T00:00:00" }],
  ["at is no instant", { at: new Date(Number.NaN) }],
  ["sunsetAt is no instant", { at: "2026-01-01", sunsetAt: "2027-13-01" }],
  ["neither a URL nor a path", { at: "2026-01-01", successor: "/a>; rel=x" }],
  ["neither a URL nor a path", { at: "2026-01-01", docs: "http://" }],
  ["neither a URL nor a path", { at: "2026-01-01", docs: "/a\r\nb" }],
])("refused at the start, naming the route: %s", (message, deprecated) => {
  expect(() => old("/refused", deprecated)).toThrow(`Route GET /refused: deprecated: `);
  expect(() => old("/refused", deprecated)).toThrow(message);
});
