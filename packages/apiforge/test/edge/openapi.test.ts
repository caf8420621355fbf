import { Validator } from "@seriousme/openapi-schema-validator";
import { Type } from "typebox";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute } from "../../src/edge/index.ts";
import { startHarness, type Harness } from "./edge-harness.ts";
import { thingRoutes } from "./thing-routes.ts";

interface Tree {
  readonly children: readonly Tree[];
}
const zodTree: z.ZodType<Tree> = z.object({
  get children() {
    return z.array(zodTree);
  },
});
const typeBoxTree = Type.Cyclic(
  { Tree: Type.Object({ children: Type.Array(Type.Ref("Tree")) }) },
  "Tree",
);

const recursive = defineRoute({
  method: "POST",
  path: "/trees/:treeId",
  params: z.object({ treeId: z.string().length(3) }),
  headers: z.object({ "x-kind": z.enum(["a", "b"]) }),
  body: zodTree,
  replies: { 200: typeBoxTree, 404: z.object({ reason: z.string() }) },
  summary: "Plant a tree",
  tags: ["trees"],
  handler: ({ body }) => ({ status: 200, body: body as never }),
});

let harness: Harness;
// The document is JSON of any shape to its reader.
let document: ReturnType<typeof JSON.parse>;
beforeAll(async () => {
  harness = await startHarness([...thingRoutes, recursive], {
    api: { title: "Things", version: "1.2.3" },
  });
  document = (await harness.edge.inject({ url: "/openapi.json" })).json();
});
afterAll(() => harness.stop());

test("the document is valid OpenAPI 3.1, and its references lead somewhere", async () => {
  const validator = new Validator();
  const result = await validator.validate(structuredClone(document));
  expect(result.errors ?? []).toEqual([]);
  expect(result.valid).toBe(true);
  expect(validator.version).toBe("3.1");
  for (const [, pointer = ""] of JSON.stringify(document).matchAll(/"\$ref":"#([^"]*)"/g)) {
    const target = pointer
      .split("/")
      .slice(1)
      .reduce(
        (at, part) => at?.[decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~")],
        document,
      );
    expect([pointer, typeof target]).toEqual([pointer, "object"]);
  }
});

test("it says what every route takes and answers", () => {
  expect(document.info).toEqual({ title: "Things", version: "1.2.3" });
  expect(Object.keys(document.paths).sort()).toEqual([
    "/orders",
    "/outcomes/{kind}",
    "/public",
    "/things",
    "/things/{id}",
    "/things/{id}/confirm",
    "/trees/{treeId}",
  ]);
  const list = document.paths["/things"].get;
  expect(list.operationId).toBe("getThings");
  expect(list.security).toEqual([{ bearer: [] }]);
  expect(list.parameters).toEqual([
    {
      name: "limit",
      in: "query",
      required: false,
      schema: { type: "integer", minimum: 1, maximum: 100, default: 20 },
    },
    { name: "cursor", in: "query", required: false, schema: { type: "string" } },
    { name: "name", in: "query", required: false, schema: { type: "string" } },
    {
      name: "sort",
      in: "query",
      required: false,
      schema: { type: "string", enum: ["id"], default: "id" },
    },
    { $ref: "#/components/parameters/Fields" },
    { $ref: "#/components/parameters/RequestId" },
  ]);
  expect(list.responses["4XX"]).toEqual({ $ref: "#/components/responses/Error" });
  const create = document.paths["/things"].post;
  expect(create.requestBody).toMatchObject({
    required: true,
    content: { "application/json": { schema: { type: "object", required: ["name"] } } },
  });
  expect(create.parameters).toContainEqual({ $ref: "#/components/parameters/IdempotencyKey" });
  expect(document.paths["/orders"].post.parameters).toContainEqual({
    $ref: "#/components/parameters/RequiredIdempotencyKey",
  });
  expect(document.paths["/public"].post.security).toEqual([]);
  expect(document.paths["/things/{id}"].delete.responses["204"]).not.toHaveProperty("content");
  expect(document.paths["/things/{id}"].put.security).toEqual([{ bearer: ["things:write"] }]);
});

test("parameters with a schema keep it", () => {
  const plant = document.paths["/trees/{treeId}"].post;
  expect(plant).toMatchObject({
    summary: "Plant a tree",
    tags: ["trees"],
    operationId: "postTreesByTreeId",
  });
  expect(plant.parameters.slice(0, 2)).toEqual([
    {
      name: "treeId",
      in: "path",
      required: true,
      schema: { type: "string", minLength: 3, maxLength: 3 },
    },
    { name: "x-kind", in: "header", required: true, schema: { type: "string", enum: ["a", "b"] } },
  ]);
});
