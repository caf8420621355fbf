import { afterAll, beforeAll, expect, test } from "vitest";

import {
  startGateway,
  startRawUpstream,
  type GatewayHarness,
  type RawUpstream,
} from "./gateway-harness.ts";

let upstream: RawUpstream;
let gateway: GatewayHarness;

beforeAll(async () => {
  upstream = await startRawUpstream((socket, request) => {
    const [, target = ""] = request.split(" ");
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`);
  });
  gateway = await startGateway([upstream.url], {
    proxy: {
      path: "/of/:tenant/*",
      methods: ["GET", "POST"],
      cors: { origins: ["https://page.example"] },
    },
  });
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

test.each(["/of/a/", "/of/a/b", "/of/a/b/", "/of/a/?q=1"])("%s is passed on", async (target) => {
  const answer = await fetch(`${gateway.url}${target}`);
  expect([answer.status, await answer.text()]).toEqual([200, target]);
});

test.each(["/of/a", "/of/"])("%s is no path of it", async (target) => {
  expect((await fetch(`${gateway.url}${target}`)).status).toBe(404);
});

test("below the prefix with nothing behind it other methods and preflights are answered as anywhere", async () => {
  const refused = await fetch(`${gateway.url}/of/a/`, { method: "DELETE" });
  expect([refused.status, refused.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS, POST"]);
  const preflight = await fetch(`${gateway.url}/of/a/`, {
    method: "OPTIONS",
    headers: { origin: "https://page.example", "access-control-request-method": "POST" },
  });
  expect(preflight.headers.get("access-control-allow-origin")).toBe("https://page.example");
});

test("OpenAPI has the path with what the wildcard stands for, any body, and no promise of the answer", async () => {
  const document = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, object>>;
  };
  const path = document.paths["/of/{tenant}/{rest}"];
  const parameters = ["tenant", "rest"].map((name) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  expect(path?.["get"]).toMatchObject({
    operationId: "getOfByTenantRest",
    parameters: expect.arrayContaining(parameters) as unknown,
    responses: { default: { content: { "*/*": {} } } },
  });
  expect(path?.["get"]).not.toHaveProperty("requestBody");
  expect(path?.["post"]).toMatchObject({ requestBody: { content: { "*/*": {} } } });
});
