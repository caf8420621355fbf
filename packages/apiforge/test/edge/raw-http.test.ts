import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";

import { startHarness, type Harness } from "./edge-harness.ts";
import { thingRoutes } from "./thing-routes.ts";
import { rawExchange } from "./raw-exchange.ts";

interface RawCase {
  readonly name: string;
  /** What is written to the socket; nothing of it is added to. */
  readonly bytes: string;
  readonly status: number;
  readonly code?: string;
  readonly headers?: Record<string, string>;
}

const cases: readonly RawCase[] = [
  {
    name: "bytes that are no HTTP",
    bytes: "\x16\x03\x01hello\r\n\r\n",
    status: 400,
    code: "malformed_request",
  },
  {
    name: "HTTP/0.9",
    bytes: "GET /\r\n\r\n",
    status: 404,
    code: "route_not_found",
  },
  {
    name: "a header without a name",
    bytes: "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    status: 400,
    code: "malformed_request",
  },
  {
    name: "two lengths",
    bytes: "POST /things HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    status: 400,
    code: "malformed_request",
  },
  {
    name: "length and chunks",
    bytes:
      "POST /things HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    status: 400,
    code: "malformed_request",
  },
  {
    name: "headers without end",
    bytes: `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(20_000)}\r\n\r\n`,
    status: 431,
    code: "headers_too_large",
  },
  {
    name: "no Host",
    bytes: "GET /things HTTP/1.1\r\nConnection: close\r\n\r\n",
    status: 400,
    code: "malformed_request",
  },
  {
    name: "an expectation that nobody meets",
    bytes: "POST /things HTTP/1.1\r\nHost: a\r\nExpect: 101-foo\r\nContent-Length: 0\r\n\r\n",
    status: 417,
    code: "expectation_failed",
  },
  {
    name: "a method that nobody knows",
    bytes: "BREW /things HTTP/1.1\r\nHost: a\r\n\r\n",
    status: 400,
    code: "malformed_request",
  },
  {
    name: "a method of other protocols",
    bytes: "PROPFIND /things HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    status: 405,
    code: "method_not_allowed",
    headers: { allow: "GET, HEAD, OPTIONS, POST" },
  },
  {
    name: "a method of other protocols at no path",
    bytes: "PROPFIND /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    status: 404,
    code: "route_not_found",
  },
  {
    name: "TRACE",
    bytes: "TRACE /things HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    status: 405,
    code: "method_not_allowed",
  },
  {
    name: "OPTIONS of a path",
    bytes: "OPTIONS /things HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    status: 204,
    headers: { allow: "GET, HEAD, OPTIONS, POST" },
  },
  {
    name: "OPTIONS of the server",
    bytes: "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    status: 404,
    code: "route_not_found",
  },
  {
    name: "an absolute target",
    bytes: "GET http://elsewhere/things HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    status: 400,
    code: "malformed_request",
  },
  {
    name: "NUL in the path",
    bytes: "GET /things/%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    status: 400,
    code: "invalid_url",
  },
  {
    name: "a backslash in the path",
    bytes: "GET /things\\..\\x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    status: 400,
    code: "invalid_url",
  },
  {
    name: "broken percent-encoding",
    bytes: "GET /%%% HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    status: 400,
    code: "invalid_url",
  },
  {
    name: "broken percent-encoding of an unknown method",
    bytes: "PROPFIND /%%% HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    status: 400,
    code: "invalid_url",
  },
  {
    name: "broken percent-encoding of the query",
    bytes: "GET /nothing?%zz=%ff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    status: 404,
    code: "route_not_found",
  },
  {
    name: "HTTP/1.0 without Host",
    bytes: "GET /nothing HTTP/1.0\r\n\r\n",
    status: 404,
    code: "route_not_found",
  },
];

let harness: Harness;
let port: number;
beforeAll(async () => {
  harness = await startHarness(thingRoutes);
  const { url } = await harness.edge.listen({ port: 0, host: "127.0.0.1" });
  port = Number(new URL(url).port);
});
afterAll(() => harness.stop());

test.each(cases)(
  "$name is answered with the envelope",
  async ({ bytes, status, code, headers = {} }) => {
    const [head = "", body = ""] = (await rawExchange(port, bytes)).split("\r\n\r\n");
    const [statusLine = "", ...lines] = head.split("\r\n");
    expect(Number(statusLine.split(" ")[1])).toBe(status);
    const received = new Headers(lines.map((line) => line.split(/: (.*)/s, 2) as [string, string]));
    expect(received.get("x-request-id")).toMatch(/^req_/);
    for (const [name, value] of Object.entries(headers)) expect(received.get(name)).toBe(value);
    if (code === undefined) {
      expect(body).toBe("");
      return;
    }
    expect(JSON.parse(body)).toEqual({
      error: {
        type: expect.any(String),
        code,
        message: expect.any(String),
        requestId: received.get("x-request-id"),
      },
    });
    expect(body).not.toMatch(/HPE_|Parse Error|FST_/);
  },
);

test("a body that ends early gets no answer and does no harm", async () => {
  const socket = connect(port, "127.0.0.1");
  const bearer = await harness.bearer();
  socket.write(
    `POST /things HTTP/1.1\r\nHost: a\r\nAuthorization: ${bearer}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"name"`,
  );
  socket.end();
  await once(socket.resume(), "close");
  expect(
    await rawExchange(port, "GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
  ).toContain('{"status":"live"}');
});

test("a chunked body above the limit is cut off", async () => {
  const bearer = await harness.bearer();
  const chunk = "x".repeat(300);
  const answer = await rawExchange(
    port,
    `POST /orders HTTP/1.1\r\nHost: a\r\nAuthorization: ${bearer}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n12c\r\n${chunk}\r\n`,
  );
  expect(answer).toContain("HTTP/1.1 413");
  expect(answer).toContain('"code":"body_too_large"');
});

test.each([
  "Idempotency-Key: a\r\nIdempotency-Key: a",
  "Idempotency-Key: a\r\nIdempotency-Key: b",
  'Idempotency-Key: "a"\r\nIdempotency-Key: "b"',
  "X-Idempotency-Key: a\r\nX-Idempotency-Key: b",
])("an idempotency key that is sent twice is refused: %j", async (keys) => {
  const bearer = await harness.bearer();
  const answer = await rawExchange(
    port,
    `POST /orders HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: ${bearer}\r\nContent-Type: application/json\r\n${keys}\r\nContent-Length: 12\r\n\r\n{"amount":1}`,
  );
  expect(answer).toContain("HTTP/1.1 400");
  expect(answer).toContain('"code":"invalid_idempotency_key"');
});
