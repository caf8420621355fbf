import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { ClientHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { until } from "@apiforge/testing";
import { afterAll, beforeAll, expect, test } from "vitest";

import { Authority } from "@apiforge/testing/certificates";
import { callHttp2, connectHttp2 } from "../edge/http2/http2-client.ts";
import { startGateway, startRawUpstream, type GatewayHarness } from "./gateway-harness.ts";

interface Echo {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

let root: Authority;
let gateway: GatewayHarness;
let session: ClientHttp2Session;
const upstream = createServer((request, response) => {
  // Its request was given up.
  answer(request, response).catch(() => response.destroy());
});
const open = new Set<IncomingMessage>();

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url = "", rawHeaders } = request;
  if (url === "/events") {
    open.add(request);
    response.once("close", () => open.delete(request));
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n");
    return;
  }
  if (url === "/trailer") {
    response.writeEarlyHints({ link: "</a.css>; rel=preload" });
    response.writeHead(200, { trailer: "x-sum" });
    response.write("body");
    response.addTrailers({ "x-sum": "4" });
    return void response.end();
  }
  if (url === "/cut") {
    response.writeHead(200, { "content-length": 100 });
    response.write("only this");
    return void setImmediate(() => response.destroy());
  }
  if (url === "/early") return void response.writeHead(403).end("no");
  let body = "";
  for await (const piece of request) body += String(piece);
  response.setHeader("set-cookie", ["a=1", "b=2"]);
  response.end(JSON.stringify({ method, url, rawHeaders, body }));
}

beforeAll(async () => {
  root = await Authority.create("Root");
  const { key, cert } = await root.issue("server", { usage: "server" });
  await once(upstream.listen(0, "127.0.0.1"), "listening");
  const { port } = upstream.address() as AddressInfo;
  const edge = { tls: { key, cert } };
  gateway = await startGateway([`http://127.0.0.1:${port}`], { edge });
  session = await connectHttp2(gateway.port, { ca: root.cert });
});
afterAll(async () => {
  session.destroy();
  await gateway.stop();
  upstream.closeAllConnections();
  upstream.close();
});

function valuesOf({ rawHeaders }: Echo, name: string): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1] === name);
}

test("an upstream gets a request of HTTP/1.1, with nothing of HTTP/2 in it", async () => {
  const { headers, body, resetCode } = await callHttp2(
    session,
    {
      ":method": "PUT",
      ":path": "/a?b=1",
      "x-own": "kept",
      cookie: ["a=1", "b=2"],
      te: "trailers",
    },
    "text",
  );
  const at = JSON.parse(body) as Echo;
  expect(at).toMatchObject({ method: "PUT", url: "/a?b=1", body: "text" });
  expect(at.rawHeaders.filter((text) => text.startsWith(":"))).toEqual([]);
  expect(valuesOf(at, "cookie")).toEqual(["a=1; b=2"]);
  expect(valuesOf(at, "x-own")).toEqual(["kept"]);
  expect(valuesOf(at, "x-forwarded-host")).toEqual([`127.0.0.1:${gateway.port}`]);
  expect(valuesOf(at, "x-forwarded-proto")).toEqual(["https"]);
  expect(valuesOf(at, "x-forwarded-for")).toEqual(["127.0.0.1"]);
  expect(headers).toMatchObject({ ":status": 200, "set-cookie": ["a=1", "b=2"] });
  expect([
    headers.connection,
    headers["keep-alive"],
    headers["transfer-encoding"],
    resetCode,
  ]).toEqual([undefined, undefined, undefined, 0]);
});

test("a large body of unknown length goes up and comes back whole", async () => {
  const pieces = Array.from({ length: 12 }, () => Buffer.alloc(65_536, "x"));
  const answered = await callHttp2(session, { ":method": "POST", ":path": "/b" }, pieces);
  const at = JSON.parse(answered.body) as Echo;
  expect(at.body).toHaveLength(12 * 65_536);
  expect(valuesOf(at, "transfer-encoding")).toEqual(["chunked"]);
});

test("a body above the route's limit is refused, and its connection goes on", async () => {
  const pieces = Array.from({ length: 40 }, () => Buffer.alloc(65_536, "x"));
  const refused = await callHttp2(session, { ":method": "POST", ":path": "/b" }, pieces);
  expect([refused.headers[":status"], refused.resetCode]).toEqual([413, 0]);
  expect((await callHttp2(session, { ":path": "/a" })).headers[":status"]).toBe(200);
});

test.each([{ "content-length": "10" }, {}])(
  "a body that does not arrive is refused after its time: %j",
  async (length) => {
    const headers = { ":method": "POST", ":path": "/b", ...length };
    const stream = session.request(headers, { endStream: false });
    stream.write("begun");
    const answered = once(stream, "response");
    let status: unknown;
    void answered.then(([head]) => (status = (head as { ":status": number })[":status"]));
    await until("it is refused", () => {
      gateway.upstreamClock.advance(1_000);
      return status !== undefined;
    });
    stream.resume();
    await once(stream, "close");
    expect(status).toBe(408);
    expect((await callHttp2(session, { ":path": "/a" })).headers[":status"]).toBe(200);
  },
);

test("an answer that comes before the end of the body ends the upload, not the connection", async () => {
  const stream = session.request({ ":method": "POST", ":path": "/early" }, { endStream: false });
  stream.write(Buffer.alloc(100_000));
  const [headers] = (await once(stream, "response")) as [{ ":status": number }];
  stream.resume();
  await once(stream, "close");
  expect([headers[":status"], stream.rstCode]).toEqual([403, 0]);
  expect((await callHttp2(session, { ":path": "/a" })).headers[":status"]).toBe(200);
});

test("trailers and interim answers are passed on", async () => {
  const answered = await callHttp2(session, { ":path": "/trailer", te: "trailers" });
  expect(answered.interim).toMatchObject([{ ":status": 103, link: "</a.css>; rel=preload" }]);
  expect(answered).toMatchObject({ body: "body", trailers: { "x-sum": "4" } });
});

test("an answer that was cut short is none to take for whole", async () => {
  const answered = await callHttp2(session, { ":path": "/cut" });
  expect(answered).toMatchObject({ headers: { ":status": 200 }, body: "only this" });
  expect(answered.resetCode).toBe(2);
});

test("a client that resets its stream takes its request at the upstream with it", async () => {
  const stream = session.request({ ":path": "/events" });
  await once(stream, "data");
  expect(open.size).toBe(1);
  stream.close();
  await until("the upstream is rid of it", () => open.size === 0);
});

test("a client that does not read holds back its upstream, and is cut off after its time", async () => {
  const head = "HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n";
  const large = await startRawUpstream((socket) => socket.write(head + "x".repeat(9_000_000)));
  const { key, cert } = await root.issue("server", { usage: "server" });
  const slow = await startGateway([large.url], { edge: { tls: { key, cert } } });
  const own = await connectHttp2(slow.port, { ca: root.cert });
  const stream = own.request({ ":path": "/large" });
  await once(stream, "response");
  const [socket] = large.sockets;
  await until("the upstream waits", () => (socket?.writableLength ?? 0) > 0);
  const held = socket?.writableLength;
  const reset = new Promise<void>((resolve) => {
    stream.on("error", () => undefined).once("close", () => resolve());
  });
  await until("it is cut off", () => {
    slow.upstreamClock.advance(60_000);
    return large.sockets.size === 0;
  });
  stream.resume();
  await reset;
  expect(held).toBeGreaterThan(0);
  expect(stream.rstCode).toBe(2);
  own.destroy();
  await slow.stop();
  await large.close();
});
