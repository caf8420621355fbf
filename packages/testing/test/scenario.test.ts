import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createHttpClient, type HttpClient } from "../src/index.ts";
import {
  assertScenario,
  runScenarios,
  type Scenario,
  type ScenarioExpectation,
  type ScenarioRun,
} from "../src/scenario.ts";

let rows = 0;
const server = createServer((request, response) => {
  if (request.headers.authorization === "Bearer secret") rows += 1;
  response.writeHead(400, { "X-Request-Id": "req_1", "Content-Type": "application/json" });
  response.end(
    JSON.stringify({
      error: {
        type: "invalid_request_error",
        code: "invalid_body",
        message: "name must be a string",
        param: "body.name",
        requestId: "req_1",
      },
    }),
  );
});
let client: HttpClient;

beforeAll(async () => {
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  client = createHttpClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

afterAll(async () => {
  await client.close();
  server.close();
});

beforeEach(() => {
  rows = 0;
});

const run: ScenarioRun = {
  client: () => client,
  token: (name) => (name === "priya" ? "secret" : "unknown"),
  storedRows: () => Promise.resolve({ projects: rows }),
};

const envelope = { type: "invalid_request_error", code: "invalid_body", param: "body.name" };
const full: ScenarioExpectation = {
  status: 400,
  headers: { "content-type": "application/json", "x-request-id": /^req_/, etag: null },
  bodyHas: ["must be", /"code":"invalid_\w+"/],
  bodyHasNot: ["stack", /SQL/i],
  envelope,
  stored: "nothing",
};

runScenarios(run, [
  { name: "a scenario that holds", request: { method: "POST", path: "/" }, expect: full },
]);

describe("a scenario fails", () => {
  const wrong: readonly (readonly [name: string, expected: Partial<ScenarioExpectation>])[] = [
    ["on another status", { status: 201 }],
    ["on another header", { headers: { "content-type": "text/html" } }],
    ["on a header that does not match", { headers: { "x-request-id": /^run_/ } }],
    ["on a header that should be absent", { headers: { "x-request-id": null } }],
    ["on a missing header", { headers: { etag: /./ } }],
    ["on a text that the body lacks", { bodyHas: ["should be"] }],
    ["on a text that the body must not have", { bodyHasNot: [/MUST/i] }],
    ["on another code", { envelope: { ...envelope, code: "invalid_json" } }],
    [
      "on a param that was not expected",
      { envelope: { type: envelope.type, code: envelope.code } },
    ],
  ];
  test.for(wrong)("%s", async ([name, expected]) => {
    const scenario: Scenario = { name, request: { path: "/" }, expect: { ...full, ...expected } };
    await expect(assertScenario(run, scenario)).rejects.toThrow("expected");
  });

  test("on rows that it should not have stored", async () => {
    const request = { path: "/", token: "priya" };
    const scenario: Scenario = { name: "stores", request, expect: full };
    await expect(assertScenario(run, scenario)).rejects.toThrow("rows stored by the request");
  });
});

describe("runScenarios refuses at once", () => {
  test("a token or stored rows that it cannot tell", () => {
    const bare: ScenarioRun = { client: () => client };
    const named: Scenario = {
      name: "as priya",
      request: { path: "/", token: "priya" },
      expect: { status: 400 },
    };
    const counted: Scenario = { name: "counted", request: { path: "/" }, expect: full };
    expect(() => runScenarios(bare, [named])).toThrow("needs the token priya");
    expect(() => runScenarios(bare, [counted])).toThrow("pass `storedRows`");
  });
});
