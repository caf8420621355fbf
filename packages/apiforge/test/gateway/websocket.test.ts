import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { turns, until } from "@apiforge/testing";
import { afterEach, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";

import type { ProxyOptions, UpstreamOptions } from "../../src/gateway/index.ts";
import { startGateway, startRawUpstream, type GatewayHarness } from "./gateway-harness.ts";

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Echo {
  readonly url: string;
  readonly server: WebSocketServer;
  readonly requests: IncomingMessage[];
}

/** Sends back what it gets, text and bytes. */
async function startEcho(): Promise<Echo> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  const requests: IncomingMessage[] = [];
  server.on("connection", (socket, request) => {
    requests.push(request);
    socket.on("error", () => undefined);
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  });
  await once(server, "listening");
  closing.push(async () => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, requests };
}

async function gatewayTo(
  endpoint: string,
  proxy: Partial<ProxyOptions> = {},
  upstreamOptions: Partial<UpstreamOptions> = {},
): Promise<GatewayHarness> {
  const gateway = await startGateway([endpoint], {
    proxy: { webSockets: true, ...proxy },
    upstreamOptions,
  });
  closing.push(() => gateway.stop());
  return gateway;
}

function open(gateway: GatewayHarness, headers: Record<string, string> = {}): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/chat?room=1`, ["chat"], { headers });
  socket.on("error", () => undefined);
  closing.push(async () => socket.terminate());
  return socket;
}

/** Status and code of the refusal of a WebSocket. */
async function refusalOf(socket: WebSocket): Promise<unknown> {
  const [, answer] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
  let body = "";
  for await (const piece of answer) body += String(piece);
  const isEnvelope = answer.headers["content-type"]?.includes("json") === true;
  const code = isEnvelope
    ? (JSON.parse(body) as { readonly error: { readonly code: string } }).error.code
    : body;
  return { status: answer.statusCode, code };
}

test("frames go both ways, after a handshake that is the upstream's", async () => {
  const echo = await startEcho();
  const gateway = await gatewayTo(echo.url);
  const socket = open(gateway);
  const [upgraded] = await Promise.all([once(socket, "upgrade"), once(socket, "open")]);
  const [answer] = upgraded as [IncomingMessage];
  expect(answer.headers["x-request-id"]).toBeDefined();
  expect(answer.headers["via"]).toContain("apiforge-");
  expect(socket.protocol).toBe("chat");
  expect(echo.requests[0]?.url).toBe("/chat?room=1");
  expect(echo.requests[0]?.headers["x-forwarded-for"]).toBe("127.0.0.1");
  for (const sent of [Buffer.from("text"), Buffer.alloc(3_000_000, 7)]) {
    socket.send(sent);
    const [got] = (await once(socket, "message")) as [Buffer];
    expect(got.equals(sent)).toBe(true);
  }
  expect(gateway.behind.states[0]?.pending).toBe(1);
});

test("a message that follows its handshake at once is not lost", async () => {
  const echo = await startEcho();
  echo.server.on("connection", (socket) => socket.send("welcome"));
  const socket = open(await gatewayTo(echo.url));
  const [got] = (await once(socket, "message")) as [Buffer];
  expect(got.toString()).toBe("welcome");
});

test("a close with its code reaches the other side, from either", async () => {
  const echo = await startEcho();
  const gateway = await gatewayTo(echo.url);
  const first = open(gateway);
  await once(first, "open");
  const [atUpstream] = echo.server.clients;
  const upstreamClosed = atUpstream && once(atUpstream, "close");
  first.close(4_001, "enough");
  expect((await upstreamClosed)?.[0]).toBe(4_001);

  const second = open(gateway);
  await once(second, "open");
  for (const client of echo.server.clients) client.close(4_002);
  expect((await once(second, "close"))[0]).toBe(4_002);
  await until("its place is free", () => gateway.behind.states[0]?.pending === 0);
});

test("a connection that breaks closes the other one, whichever it is", async () => {
  const echo = await startEcho();
  const gateway = await gatewayTo(echo.url);
  const first = open(gateway);
  await once(first, "open");
  first.terminate();
  await until("the upstream is rid of it", () => echo.server.clients.size === 0);
  const second = open(gateway);
  await once(second, "open");
  for (const client of echo.server.clients) client.terminate();
  expect((await once(second, "close"))[0]).toBe(1_006);
});

test("who is not known, or may not, gets its refusal before the upstream hears of it", async () => {
  const echo = await startEcho();
  const gateway = await gatewayTo(echo.url, {
    auth: "jwt",
    limits: [{ name: "one", limit: 1, per: "1m" }],
  });
  expect(await refusalOf(open(gateway))).toEqual({ status: 401, code: "missing_token" });
  const authorization = await gateway.bearer();
  await once(open(gateway, { authorization }), "open");
  expect(await refusalOf(open(gateway, { authorization }))).toEqual({
    status: 429,
    code: "rate_limited",
  });
  expect(echo.requests).toHaveLength(1);
});

test("pages of other origins are refused, those of this one and of allowed ones are not", async () => {
  const echo = await startEcho();
  const gateway = await gatewayTo(echo.url, { cors: { origins: ["https://page.example"] } });
  const refused = await refusalOf(open(gateway, { origin: "https://evil.example" }));
  expect(refused).toEqual({ status: 403, code: "origin_refused" });
  await once(open(gateway, { origin: "https://page.example" }), "open");
  await once(open(gateway, { origin: `http://127.0.0.1:${gateway.port}` }), "open");
  expect(echo.requests).toHaveLength(2);
});

test("a request for one that has a body is refused: its bytes would pass for frames", async () => {
  const echo = await startEcho();
  const gateway = await gatewayTo(echo.url);
  const seen = await gateway.ask(
    "GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 6\r\n\r\nhidden",
  );
  expect(seen).toMatchObject({ status: 400, isWhole: true });
  expect(echo.requests).toHaveLength(0);
});

test("an upstream's own refusal is passed on", async () => {
  const upstream = await startRawUpstream((socket) =>
    socket.write("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"),
  );
  closing.push(() => upstream.close());
  const gateway = await gatewayTo(upstream.url);
  expect(await refusalOf(open(gateway))).toEqual({ status: 404, code: "none" });
});

test("an upstream that switches to something else is a fault", async () => {
  const upstream = await startRawUpstream((socket) =>
    socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"),
  );
  closing.push(() => upstream.close());
  const gateway = await gatewayTo(upstream.url);
  expect(await refusalOf(open(gateway))).toEqual({ status: 502, code: "upstream_failed" });
});

test("without a word of WebSockets in the route a request for one is like any other", async () => {
  const echo = await startEcho();
  const gateway = await gatewayTo(echo.url, { webSockets: false });
  expect(await refusalOf(open(gateway))).toMatchObject({ status: 426 });
});

test("one that nothing passes through is closed after its time", async () => {
  const echo = await startEcho();
  const gateway = await gatewayTo(echo.url, {}, { timeouts: { webSocketMs: 60_000 } });
  const socket = open(gateway);
  await once(socket, "open");
  gateway.upstreamClock.advance(59_000);
  socket.send("still here");
  await once(socket, "message");
  gateway.upstreamClock.advance(59_000);
  expect(socket.readyState).toBe(WebSocket.OPEN);
  const closed = once(socket, "close");
  gateway.upstreamClock.advance(2_000);
  expect((await closed)[0]).toBe(1_006);
  await until("the upstream is rid of it", () => echo.server.clients.size === 0);
});

test("one that is open takes a place of the upstream's, and of the caller's", async () => {
  const echo = await startEcho();
  const gateway = await gatewayTo(echo.url, { maxInFlight: 1 }, { maxPending: 1 });
  const socket = open(gateway);
  await once(socket, "open");
  expect(await refusalOf(open(gateway))).toEqual({ status: 429, code: "too_many_in_flight" });
  socket.terminate();
  await until("its place is free", () => gateway.behind.states[0]?.pending === 0);
  await once(open(gateway), "open");
});

test("a client that does not read holds back its upstream", async () => {
  const echo = await startEcho();
  const gateway = await gatewayTo(echo.url);
  const socket = open(gateway);
  await once(socket, "open");
  socket.pause();
  const [atUpstream] = echo.server.clients;
  const piece = Buffer.alloc(1_048_576);
  for (let index = 0; index < 64; index += 1) atUpstream?.send(piece, { binary: true });
  let before = 0;
  await until("nothing moves any more", async () => {
    const { bufferedAmount = 0 } = atUpstream ?? {};
    const isSame = bufferedAmount === before;
    before = bufferedAmount;
    await turns(20);
    return isSame && bufferedAmount > 0;
  });
  // All but what the kernel's buffers take, and the gateway's few kilobytes.
  expect(atUpstream?.bufferedAmount).toBeGreaterThan(32 * 1_048_576);
  let got = 0;
  socket.on("message", () => (got += 1));
  socket.resume();
  await until("all has come", () => got === 64);
});

test("a server that stops says goodbye to both sides, and does not wait for its deadline", async () => {
  const echo = await startEcho();
  const gateway = await gatewayTo(echo.url);
  const socket = open(gateway);
  await once(socket, "open");
  socket.send("x".repeat(70_000));
  await once(socket, "message");
  const [behind] = echo.server.clients;
  const closed = once(socket, "close");
  const closedBehind = behind === undefined ? undefined : once(behind, "close");
  await gateway.edge.close();
  expect([(await closed)[0], (await closedBehind)?.[0]]).toEqual([1_001, 1_001]);
  await until("the upstream is rid of it", () => echo.server.clients.size === 0);
});

test("in the middle of a frame nothing is put between its bytes", async () => {
  const key = "dGhlIHNhbXBsZSBub25jZQ==";
  const upstream = await startRawUpstream((raw) => {
    raw.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    );
    raw.write(Buffer.from([0x81, 126, 1, 0, 0x61]));
  });
  closing.push(() => upstream.close());
  const gateway = await gatewayTo(upstream.url);
  const socket = connect(gateway.port, "127.0.0.1");
  const pieces: Buffer[] = [];
  socket.on("data", (piece: Buffer) => pieces.push(piece));
  socket.write(
    `GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  );
  const body = (): Buffer => {
    const all = Buffer.concat(pieces);
    return all.subarray(all.indexOf("\r\n\r\n") + 4);
  };
  const begun = Buffer.from([0x81, 126, 1, 0, 0x61]);
  await until("half a frame has come", () => body().equals(begun));
  const closed = once(socket, "close");
  await gateway.edge.close();
  await closed;
  expect(body()).toEqual(begun);
});
