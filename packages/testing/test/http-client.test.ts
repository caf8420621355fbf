import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createHttpClient, type HttpClient } from "../src/index.ts";
import { eventually } from "./eventually.ts";

const sockets = new Set<unknown>();
const aborted: string[] = [];

async function echo(request: IncomingMessage): Promise<string> {
  const body = await buffer(request);
  return JSON.stringify({
    method: request.method,
    path: request.url,
    headers: request.rawHeaders,
    body: body.toString("utf8"),
  });
}

const server = createServer((request, response) => {
  sockets.add(request.socket);
  if (request.url === "/never") {
    request.on("close", () => aborted.push("/never"));
    return;
  }
  void echo(request)
    .then((text) => {
      response.writeHead(200, ["Set-Cookie", "a=1", "Set-Cookie", "b=2", "X-Forge-Seq", "7"]);
      response.end(text);
    })
    .catch(() => aborted.push(request.url ?? ""));
});
let client: HttpClient;

beforeAll(async () => {
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  client = createHttpClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

afterAll(async () => {
  await client.close();
  server.closeAllConnections();
  server.close();
});

describe("request", () => {
  test("sends JSON and a token, and reads every header line", async () => {
    const response = await client.request({
      method: "POST",
      path: "/a?b=c",
      token: "t",
      body: { name: "ü" },
    });
    expect(response.json()).toMatchObject({
      method: "POST",
      path: "/a?b=c",
      body: '{"name":"ü"}',
      headers: expect.arrayContaining(["authorization", "Bearer t", "application/json", "13"]),
    });
    expect(response.headers).toMatchObject({ "set-cookie": "a=1, b=2", "x-forge-seq": "7" });
    expect(response.headerLines.slice(0, 2)).toEqual([
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
    ]);
  });

  test("sends duplicate header lines as given", async () => {
    const response = await client.request({
      path: "/",
      headers: { "Idempotency-Key": ["one", "two"] },
    });
    const { headers } = response.json() as { headers: string[] };
    const at = headers.indexOf("Idempotency-Key");
    expect(headers.slice(at, at + 4)).toEqual(["Idempotency-Key", "one", "Idempotency-Key", "two"]);
  });

  test("sends raw bytes without a content type, and an empty body with its length", async () => {
    const raw = await client.request({ method: "PUT", path: "/", rawBody: "{broken" });
    expect(raw.json()).toMatchObject({ body: "{broken" });
    expect(raw.body.toLowerCase()).not.toContain("content-type");
    const empty = await client.request({ method: "POST", path: "/" });
    expect(empty.json()).toMatchObject({
      headers: expect.arrayContaining(["content-length", "0"]),
      body: "",
    });
  });

  test("uses one connection for requests in turn", async () => {
    sockets.clear();
    await client.request({ path: "/" });
    await client.request({ path: "/" });
    expect(sockets.size).toBe(1);
  });

  test("breaks the connection when aborted", async () => {
    const controller = new AbortController();
    const request = client.request({ path: "/never", signal: controller.signal });
    controller.abort();
    await expect(request).rejects.toMatchObject({ name: "AbortError" });
  });

  test("refuses two bodies, and says what was not JSON", async () => {
    await expect(client.request({ path: "/", body: 1, rawBody: "1" })).rejects.toThrow("not both");
    const plain = createServer((_request, response) => response.end("<html>"));
    await new Promise<void>((resolve) => void plain.listen(0, "127.0.0.1", resolve));
    await using other = createHttpClient(
      `http://127.0.0.1:${(plain.address() as AddressInfo).port}`,
    );
    const response = await other.request({ path: "/" });
    expect(() => response.json()).toThrow("Status 200, not JSON: <html>");
    plain.close();
  });
});

describe("raw connections", () => {
  test("send exactly the given bytes and return what comes back", async () => {
    const answer = await client.raw("GET / HTTP/1.1\r\nBad Header: x\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  test("send in pieces and show what has come so far", async () => {
    const connection = await client.connect();
    await connection.write("GET /pieces HTTP/1.1\r\nHost: x\r\n");
    expect(connection.received()).toBe("");
    await connection.write("Connection: close\r\n\r\n");
    expect(await connection.closed()).toContain("/pieces");
  });

  test("abort in the middle of a body", async () => {
    await client.abortMidBody({ method: "POST", path: "/cut", rawBody: "0123456789" }, 4);
    await eventually("the server has noticed", () => aborted.includes("/cut"));
    await expect(client.abortMidBody({ path: "/" }, 0)).rejects.toThrow("no middle");
  });
});
