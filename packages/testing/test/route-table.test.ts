import { fileURLToPath } from "node:url";
import {
  createDeployment,
  createHttpClient,
  type Deployment,
  type HttpClient,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { assertRefusals, refusalsOf, servedRoutes } from "@apiforge/testing/route-table";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { guarded, open, storing } from "./fixtures/scoped-routes.ts";

const entry = fileURLToPath(new URL("fixtures/scoped-server.ts", import.meta.url));

let deployment: Deployment;
let client: HttpClient;
const run = { client: () => client, deployment: () => deployment, bodies: {} };

beforeAll(async () => {
  deployment = await createDeployment({ store: "sqlite", postgresUrl: postgresUrl(), entry });
  client = createHttpClient((await deployment.start()).url);
});
afterAll(async () => {
  await client.close();
  await deployment[Symbol.asyncDispose]();
});

test("roles and scopes are asked for one short each", async () => {
  const codes = refusalsOf(guarded).map(({ code }) => code);
  expect(codes).toEqual([
    ...["missing_token", "invalid_token", "token_expired"],
    ...["insufficient_role", "insufficient_role"],
    ...["insufficient_scope", "insufficient_scope"],
  ]);
  await assertRefusals(run, guarded);
});

test("the served routes are those that were declared", async () => {
  expect(await servedRoutes(client)).toEqual(["GET /guarded/:id", "GET /open", "POST /storing"]);
});

// Declarations that the server does not keep.
describe("a server that lets through is seen", () => {
  test.for([
    ["a role", { ...open, roles: ["auditor"] }, "must be 403 insufficient_role"],
    ["a scope", { ...open, scopes: ["things:read"] }, "must be 403 insufficient_scope"],
    ["a certificate", { ...open, auth: "certificate" as const }, "must be 401 missing_certificate"],
    [
      "a certificate beside a token",
      { ...open, certificate: "required" as const },
      "must be 401 missing_certificate",
    ],
    ["a token", { ...storing, auth: "jwt" as const }, "must be 401 missing_token"],
    [
      "a token asked for against the declaration",
      { ...open, auth: "none" as const },
      "must not be asked for",
    ],
    ["a row stored", storing, "rows stored by refused requests"],
  ] as const)("%s", async ([, declared, message]) => {
    await expect(assertRefusals(run, declared)).rejects.toThrow(message);
  });
});
