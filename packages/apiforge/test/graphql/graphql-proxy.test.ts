import { hash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { buildSchema, parse, validate } from "graphql";
import { afterAll, beforeAll, expect, test } from "vitest";

import { upstream } from "../../src/gateway/index.ts";
import { defineGraphqlProxy, documentLimits, type GraphqlLimits } from "../../src/graphql/index.ts";
import { startHarness, type Harness } from "../edge/edge-harness.ts";

const listed = "query Listed { shop { name } }";
const digest = hash("sha256", listed);
const limits: GraphqlLimits = { maxDepth: 3, maxCost: 20, pages: { items: 10 }, maxTokens: 100 };

const received: string[] = [];
const server = createServer((request, response) => {
  let body = "";
  request.on("data", (piece: Buffer) => (body += piece.toString()));
  request.on("end", () => {
    received.push(body);
    response.setHeader("content-type", "application/json").end('{"data":{}}');
  });
});
const harnesses: Harness[] = [];
let open: Harness;
let closed: Harness;

beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open = await gateway(limits);
  closed = await gateway({ ...limits, listed: new Map([[digest, listed]]), onlyListed: true });
});
afterAll(async () => {
  for (const harness of harnesses) await harness.stop();
  server.closeAllConnections();
  server.close();
});

async function gateway(graphql: GraphqlLimits): Promise<Harness> {
  const { port } = server.address() as AddressInfo;
  const behind = upstream({ name: "shop", endpoints: [`http://127.0.0.1:${port}`] });
  const options = { path: "/graphql", auth: "none", upstream: behind, graphql } as const;
  const harness = await startHarness(defineGraphqlProxy(options));
  harnesses.push(harness);
  return harness;
}

/** Status or code of the answer, and what the upstream got of it. */
async function ask({ edge }: Harness, body: object): Promise<[string | number, unknown]> {
  const before = received.length;
  const headers = { "content-type": "application/json" };
  const payload = JSON.stringify(body);
  const answer = await edge.inject({ method: "POST", url: "/graphql", headers, payload });
  const { error } = answer.json<{ error?: { code: string } }>();
  const got = received.slice(before).map((text) => JSON.parse(text) as unknown);
  return [error?.code ?? answer.statusCode, got[0]];
}

test("a document within its limits reaches the upstream, with its variables", async () => {
  const body = {
    query: "query A($n: Int) { items(first: 2) { name price } }",
    operationName: "A",
    variables: { n: 1 },
  };
  expect(await ask(open, body)).toEqual([200, body]);
});

test.each([
  ["{ a { b { c { d } } } }", "query_too_deep"],
  ["{ a { ...F } } fragment F on T { b { c { d } } }", "query_too_deep"],
  ["{ items { name price } }", "query_too_costly"],
  ["query A($n: Int) { items(first: $n) { name price } }", "query_too_costly"],
  ["{ items(first: 1, last: 7) { name price } }", "query_too_costly"],
  ["{ items(first: 4) { items(first: 4) { name } } }", "query_too_costly"],
  ["query A { a } query B { a { b { c { d } } } }", "query_too_deep"],
  ["{ ...F } fragment F on T { a { ...F } }", "query_invalid"],
  ["{ a ", "query_invalid"],
  [`{ ${"a ".repeat(100)}}`, "query_invalid"],
  ["{ __schema { types { name } } }", "introspection_refused"],
  ['{ a { ... on T { t: __type(name: "X") { name } } } }', "introspection_refused"],
])("%s is refused as %s, and reaches nobody", async (query, code) => {
  expect(await ask(open, { query })).toEqual([code, undefined]);
});

test("what is no request of GraphQL, or a list of them, is refused", async () => {
  expect(await ask(open, {})).toEqual(["document_missing", undefined]);
  expect(await ask(open, { query: 1 })).toEqual(["validation_failed", undefined]);
  expect(await ask(open, [{ query: "{ a }" }])).toEqual(["validation_failed", undefined]);
});

test("a listed document is named by its hash, and the upstream gets its text", async () => {
  const named = { extensions: { persistedQuery: { version: 1, sha256Hash: digest }, trace: 1 } };
  for (let n = 0; n < 2; n++) {
    expect(await ask(closed, named)).toEqual([200, { query: listed, extensions: { trace: 1 } }]);
  }
  const other = { extensions: { persistedQuery: { sha256Hash: "0" } } };
  for (const [body, code] of [
    [other, "document_not_listed"],
    [{ query: listed }, "document_not_listed"],
    [{ query: "{ a }", ...other }, "document_not_listed"],
    [{}, "document_missing"],
  ] as const) {
    expect(await ask(closed, body)).toEqual([code, undefined]);
  }
  expect(await ask(open, other)).toEqual(["document_not_listed", undefined]);
});

test("documents that are only listed need a list", () => {
  const behind = upstream({ name: "shop", endpoints: ["http://127.0.0.1:1"] });
  const graphql = { ...limits, onlyListed: true };
  expect(() => defineGraphqlProxy({ path: "/graphql", upstream: behind, graphql })).toThrow(
    "onlyListed needs listed documents",
  );
});

test("the rule of servers and the gateway measure alike", () => {
  const schema = buildSchema("type Query { a: Query items(first: Int): [Query] name: String }");
  const field: fc.Arbitrary<string> = fc.letrec<{ field: string }>((tie) => ({
    field: fc.oneof(
      { depthSize: "small" },
      fc.constant("name"),
      fc.array(tie("field"), { minLength: 1, maxLength: 3 }).map((all) => `a { ${all.join(" ")} }`),
      fc
        .tuple(fc.nat({ max: 4 }), tie("field"))
        .map(([first, inside]) => `items(first: ${first}) { ${inside} }`),
    ),
  })).field;
  fc.assert(
    fc.property(field, fc.nat({ max: 5 }), fc.nat({ max: 30 }), (inside, maxDepth, maxCost) => {
      const own = { maxDepth, maxCost, pages: { items: 10 } };
      const [first] = validate(schema, parse(`{ ${inside} }`), [documentLimits(own)]);
      const { depth, cost } = sizeOf(inside);
      const code = depth > maxDepth ? "query_too_deep" : "query_too_costly";
      const isBeyond = depth > maxDepth || cost > maxCost;
      expect(first?.extensions["code"]).toBe(isBeyond ? code : undefined);
    }),
  );
});

/** A second way to measure: by the braces of the text. */
function sizeOf(text: string): { depth: number; cost: number } {
  const factors = [1];
  let [depth, cost] = [0, 0];
  for (const [token] of text.matchAll(/items\(first: (\d+)\)|name|a|\}/g)) {
    const factor = factors.at(-1) ?? 1;
    if (token === "}") factors.pop();
    else {
      const items = Math.max(1, Number(/\d+/.exec(token)?.[0] ?? 1));
      cost += factor * items;
      depth = Math.max(depth, factors.length);
      if (token !== "name") factors.push(factor * items);
    }
  }
  return { depth, cost };
}
