import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createHttpClient } from "@apiforge/testing";
import { describe, expect, onTestFinished, test } from "vitest";

import {
  compileGateway,
  createGateway,
  fromOpenApi,
  openDevIssuer,
  readConfig,
} from "../../../src/app/index.ts";
import { silentLog } from "../../../src/kernel/index.ts";
import { startRawUpstream } from "../../gateway/gateway-harness.ts";

const pet = {
  type: "object",
  properties: { id: { type: "integer" }, name: { type: "string" } },
  required: ["id", "name"],
};
const petReply = {
  description: "A pet",
  content: { "application/json": { schema: { $ref: "#/components/schemas/Pet" } } },
};

const document = {
  openapi: "3.1.1",
  info: { title: "Pets", version: "1.0.0" },
  security: [{ token: [] }],
  components: {
    schemas: { Pet: pet, Tag: { type: "string", pattern: "^[a-z]+$" } },
    parameters: { Id: { name: "id", in: "path", required: true, schema: { type: "integer" } } },
    securitySchemes: {
      token: { type: "http", scheme: "bearer" },
      oauth: { type: "oauth2", flows: {} },
      key: { type: "apiKey", in: "header", name: "X-Api-Key" },
      tls: { type: "mutualTLS" },
      basic: { type: "http", scheme: "basic" },
    },
  },
  paths: {
    "/pets/{id}": {
      parameters: [{ $ref: "#/components/parameters/Id" }],
      get: {
        summary: "One pet",
        tags: ["pets"],
        security: [],
        parameters: [{ name: "tag", in: "query", schema: { $ref: "#/components/schemas/Tag" } }],
        responses: { 200: petReply, default: { description: "Wrong" } },
      },
    },
    "/pets": {
      post: {
        security: [{ oauth: ["pets:write"] }],
        requestBody: { required: true, content: { "application/json": { schema: pet } } },
        responses: { 201: petReply },
      },
    },
    "/photo": {
      get: { responses: { 200: { description: "Bytes", content: { "image/png": {} } } } },
    },
  },
};

const upstreams = { pets: { endpoints: ["http://127.0.0.1:9"] } };

function compile(openapi: object, rest: object = {}) {
  return compileGateway(
    { upstreams, routes: [{ openapi, upstream: "pets", ...rest }] },
    readConfig({}),
  );
}

/** `document` with one operation. */
function withOperation(operation: object, path = "/x"): object {
  return { ...document, paths: { [path]: { get: { responses: {}, ...operation } } } };
}

describe("routes of an OpenAPI document", () => {
  test("have its paths, methods, callers, scopes and words", () => {
    const routes = compile(document, { prefix: "/v1" }).gateway?.routes.map(
      ({ method, path, auth, scopes, summary, tags }) => ({
        method,
        path,
        auth,
        scopes,
        summary,
        tags,
      }),
    );
    const common = { summary: undefined, tags: [] };
    expect(routes).toEqual([
      {
        method: "GET",
        path: "/v1/pets/:id",
        auth: "none",
        scopes: [],
        summary: "One pet",
        tags: ["pets"],
      },
      { method: "POST", path: "/v1/pets", auth: "jwt", scopes: ["pets:write"], ...common },
      { method: "GET", path: "/v1/photo", auth: "jwt", scopes: [], ...common },
    ]);
  });

  test("check what comes, and let only declared fields leave", async () => {
    const upstream = await startRawUpstream((socket, request) => {
      const body = '{"id":7,"name":"Rex","secretCode":"x"}';
      const isPhoto = request.startsWith("GET /photo");
      const type = isPhoto ? "image/png" : "application/json";
      const status = request.startsWith("POST") ? "201 Created" : "200 OK";
      const length = `content-length: ${body.length}`;
      socket.write(`HTTP/1.1 ${status}\r\ncontent-type: ${type}\r\n${length}\r\n\r\n${body}`);
    });
    const dataDir = await mkdtemp(join(tmpdir(), "gateway-openapi-"));
    const gateway = await createGateway(
      {
        upstreams: { pets: { endpoints: [upstream.url] } },
        routes: fromOpenApi(document, { upstream: "pets", prefix: "/v1" }),
      },
      { config: { port: 0, dataDir }, log: silentLog },
    );
    const client = createHttpClient((await gateway.listen()).url);
    onTestFinished(async () => {
      await client.close();
      await gateway.stop();
      await upstream.close();
      await rm(dataDir, { recursive: true });
    });
    const answer = await client.request({ path: "/v1/pets/7?tag=dog" });
    expect(answer.json()).toEqual({ id: 7, name: "Rex" });
    expect(upstream.received[0]).toMatch(/^GET \/pets\/7\?tag=dog /);
    const statusOf = async (path: string) => (await client.request({ path })).status;
    expect(await statusOf("/v1/pets/rex")).toBe(400);
    expect(await statusOf("/v1/pets/7?tag=DOG")).toBe(400);
    expect(await statusOf("/v1/pets/7?other=1")).toBe(400);
    expect(await statusOf("/v1/photo")).toBe(401);
    const issuer = await openDevIssuer(gateway.config, silentLog);
    const caller = { subject: "usr_1", tenant: "ten_1", role: "member" };
    const token = await issuer.sign(caller);
    const writer = await issuer.sign({ ...caller, scopes: ["pets:write"] });
    const post = { method: "POST", path: "/v1/pets" };
    const body = { id: 7, name: "Rex" };
    expect((await client.request({ ...post, body, token })).status).toBe(403);
    expect((await client.request({ ...post, body: { id: 7 }, token: writer })).status).toBe(400);
    const created = await client.request({ ...post, body, token: writer });
    expect([created.status, created.json()]).toEqual([201, body]);
    // What is no JSON has no fields to be declared.
    expect((await client.request({ path: "/v1/photo", token })).body).toContain("secretCode");
    const shown = (await client.request({ path: "/openapi.json" })).json();
    expect(shown).toMatchObject({ paths: { "/v1/pets/{id}": { get: { summary: "One pet" } } } });
  });

  test.each([
    ["bearer or key", [{ token: [] }, { key: [] }], { auth: "any" }],
    ["key", [{ key: [] }], { auth: "key" }],
    ["bearer or nothing", [{ token: [] }, {}], { auth: "optional" }],
    ["nothing", [{}], { auth: "none" }],
  ])("ask for %s", (_name, security, expected) => {
    expect(compile(withOperation({ security })).gateway?.routes[0]).toMatchObject(expected);
  });

  test("a document that says nothing of security leaves it to the configuration", () => {
    const { security: _security, ...silent } = document;
    const routes = (rest: object) =>
      compile({ ...silent, paths: { "/x": { get: {} } } }, rest).gateway?.routes[0]?.auth;
    expect(routes({})).toBe("jwt");
    expect(routes({ auth: "none" })).toBe("none");
  });

  test.each([
    ["another version", { ...document, openapi: "3.0.3" }, "routes[0] #/openapi"],
    ["no paths", { openapi: "3.1.0" }, "routes[0] #/paths"],
    ["half a segment", withOperation({}, "/a/{id}.json"), "routes[0] #/paths/~1a~1{id}.json"],
    [
      "a scheme that is not ours",
      withOperation({ security: [{ basic: [] }] }),
      "routes[0] #/paths/~1x/get/security",
    ],
    [
      "a reference to nothing",
      withOperation({ parameters: [{ $ref: "#/components/parameters/No" }] }),
      "routes[0] #/paths/~1x/get/parameters/0/$ref",
    ],
    [
      "a reference to another file",
      withOperation({ parameters: [{ $ref: "other.json#/a" }] }),
      "routes[0] #/paths/~1x/get/parameters/0/$ref",
    ],
    [
      "what is no schema",
      withOperation({ parameters: [{ name: "q", in: "query", schema: { type: "txt" } }] }),
      "routes[0] #/paths/~1x/get.query.properties.q.type",
    ],
  ])("%s is a problem with its pointer", (_name, openapi, path) => {
    expect(compile(openapi).problems.map((problem) => problem.path)).toEqual([path]);
  });

  test("a schema that refers to itself is refused, not followed for ever", () => {
    const node = { type: "object", properties: { next: { $ref: "#/components/schemas/Node" } } };
    const content = { "application/json": { schema: { $ref: "#/components/schemas/Node" } } };
    const openapi = {
      ...withOperation({ responses: { 200: { description: "", content } } }),
      components: { schemas: { Node: node } },
      security: [],
    };
    expect(compile(openapi).problems).toMatchObject([
      { path: "routes[0] #/components/schemas/Node/properties/next", problem: "refers to itself" },
    ]);
  });
});
