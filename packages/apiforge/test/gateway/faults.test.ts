import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { turns, until } from "@apiforge/testing";
import { expect, test } from "vitest";

import { startGateway, startRawUpstream, type GatewayHarness } from "./gateway-harness.ts";

const get = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const ok = "HTTP/1.1 200 OK\r\n";

interface Fault {
  readonly name: string;
  /** What the upstream does with a request. */
  readonly misbehave: (socket: Socket) => void;
  readonly status: number;
  readonly code: string;
  /** Of `Proxy-Status`. */
  readonly error: string;
}

const beforeTheHead: readonly Fault[] = [
  {
    name: "a connection that closes before an answer",
    misbehave: (socket) => socket.end(),
    status: 502,
    code: "upstream_failed",
    error: "connection_terminated",
  },
  {
    name: "a reset before the head",
    misbehave: (socket) => socket.resetAndDestroy(),
    status: 502,
    code: "upstream_failed",
    error: "connection_terminated",
  },
  {
    name: "half a head",
    misbehave: (socket) => socket.end(`${ok}Content-`),
    status: 502,
    code: "upstream_failed",
    error: "connection_terminated",
  },
  {
    name: "bytes that are no HTTP",
    misbehave: (socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    status: 502,
    code: "upstream_failed",
    error: "http_protocol_error",
  },
  {
    name: "a length beside chunks",
    misbehave: (socket) =>
      socket.write(`${ok}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
    status: 502,
    code: "upstream_failed",
    error: "http_protocol_error",
  },
  {
    name: "two lengths",
    misbehave: (socket) => socket.write(`${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`),
    status: 502,
    code: "upstream_failed",
    error: "http_protocol_error",
  },
  {
    name: "more headers than fit",
    misbehave: (socket) => socket.write(`${ok}X: ${"x".repeat(40_000)}\r\n\r\n`),
    status: 502,
    code: "upstream_failed",
    error: "http_response_header_section_size",
  },
  {
    name: "interim answers without end",
    misbehave: (socket) => socket.write("HTTP/1.1 102 Processing\r\n\r\n".repeat(1_000)),
    status: 502,
    code: "upstream_failed",
    error: "http_protocol_error",
  },
  {
    name: "an upgrade that nobody asked for",
    misbehave: (socket) =>
      socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    status: 502,
    code: "upstream_failed",
    error: "connection_terminated",
  },
];

/** The status of the final answer, with the facts of its envelope. */
async function refusalOf(gateway: GatewayHarness): Promise<object> {
  const { status, head, body } = lastAnswer(await gateway.ask(get));
  const { error } = JSON.parse(body) as { error: { code: string; message: string } };
  expect(error.message).not.toMatch(/127\.0\.0\.1|ECONN|HPE|undici|socket/i);
  return { status, code: error.code, error: /^proxy-status: \S+; error=(\S+)/im.exec(head)?.[1] };
}

/** What came after interim answers. */
function lastAnswer({ head, body }: { readonly head: string; readonly body: string }) {
  const all = `${head}\r\n\r\n${body}`.split(/(?=HTTP\/1\.1 \d{3} )/).at(-1) ?? "";
  const [lastHead = "", lastBody = ""] = all.split(/\r\n\r\n(.*)/s, 2);
  return { status: Number(lastHead.split(" ")[1]), head: lastHead, body: lastBody };
}

test.each(beforeTheHead)("$name is answered with $error", async ({ misbehave, ...expected }) => {
  const upstream = await startRawUpstream(misbehave);
  const gateway = await startGateway([upstream.url]);
  const { name: _name, ...facts } = expected;
  expect(await refusalOf(gateway)).toEqual(facts);
  await gateway.stop();
  await upstream.close();
});

interface Cut {
  readonly name: string;
  readonly misbehave: (socket: Socket) => void;
}

const afterTheHead: readonly Cut[] = [
  {
    name: "a body that ends before its length",
    misbehave: (socket) => socket.end(`${ok}Content-Length: 10\r\n\r\nhalf`),
  },
  {
    name: "a reset within the body",
    misbehave: (socket) =>
      socket.write(`${ok}Content-Length: 10\r\n\r\nhalf`, () => socket.resetAndDestroy()),
  },
  {
    name: "chunks without the last one",
    misbehave: (socket) => socket.end(`${ok}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`),
  },
  {
    name: "a chunk whose size is none",
    misbehave: (socket) =>
      socket.write(`${ok}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n`),
  },
];

test.each(afterTheHead)("$name never looks like a whole answer", async ({ misbehave }) => {
  const upstream = await startRawUpstream(misbehave);
  const gateway = await startGateway([upstream.url]);
  expect((await gateway.ask(get)).isWhole).toBe(false);
  await gateway.stop();
  await upstream.close();
});

test("a client of HTTP/1.0 sees a reset where only the connection's end would tell", async () => {
  const upstream = await startRawUpstream((socket) => {
    socket.end(`${ok}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`);
  });
  const gateway = await startGateway([upstream.url]);
  expect((await gateway.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n")).isWhole).toBe(false);
  await gateway.stop();
  await upstream.close();
});

test("bytes that nobody asked for do not answer the next request", async () => {
  const upstream = await startRawUpstream((socket) => {
    socket.write(`${ok}Content-Length: 4\r\n\r\ngood${ok}Content-Length: 4\r\n\r\nevil`);
  });
  const gateway = await startGateway([upstream.url], { upstreamOptions: { connections: 1 } });
  for (let request = 0; request < 3; request += 1) {
    expect(await gateway.ask(get)).toMatchObject({ status: 200, body: "good" });
  }
  await gateway.stop();
  await upstream.close();
});

test("an upstream that is not there is unreachable, whatever the method", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  const gateway = await startGateway([`http://127.0.0.1:${port}`]);
  const answer = await fetch(gateway.url, { method: "POST", body: "a" });
  expect(answer.status).toBe(502);
  expect(await answer.json()).toMatchObject({ error: { code: "upstream_unreachable" } });
  expect(answer.headers.get("proxy-status")).toMatch(/; error=connection_refused$/);
  await gateway.stop();
});

test("a name that is none is a DNS error", async () => {
  const gateway = await startGateway(["http://no-such-host.invalid"]);
  const answer = await fetch(gateway.url);
  expect(await answer.json()).toMatchObject({ error: { code: "upstream_unreachable" } });
  expect(answer.headers.get("proxy-status")).toMatch(/; error=dns_error$/);
  await gateway.stop();
});

test("an upstream that does not speak TLS is unreachable over https", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const gateway = await startGateway([
    `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
  ]);
  const answer = await fetch(gateway.url);
  expect(await answer.json()).toMatchObject({ error: { code: "upstream_unreachable" } });
  expect(answer.headers.get("proxy-status")).toMatch(/; error=tls_protocol_error$/);
  await gateway.stop();
  server.close();
});

test("an upstream that says nothing is given up after its time, and its connection closed", async () => {
  const upstream = await startRawUpstream(() => undefined);
  const gateway = await startGateway([upstream.url]);
  const asked = refusalOf(gateway);
  await until("the upstream has it", () => upstream.received[0]?.includes("\r\n\r\n") === true);
  gateway.upstreamClock.advance(30_001);
  expect(await asked).toEqual({
    status: 504,
    code: "upstream_timeout",
    error: "http_response_timeout",
  });
  await until("its connection is closed", () => upstream.sockets.size === 0);
  await gateway.stop();
  await upstream.close();
});

test("a peer that is gone without a word is given up after its time, and the next request has a new connection", async () => {
  let isGone = false;
  const upstream = await startRawUpstream((socket) => {
    if (!isGone) socket.write(`${ok}Content-Length: 2\r\n\r\nok`);
  });
  const gateway = await startGateway([upstream.url], { upstreamOptions: { connections: 1 } });
  expect(await gateway.ask(get)).toMatchObject({ status: 200 });
  isGone = true;
  const asked = refusalOf(gateway);
  await until(
    "it went by the old connection",
    () => upstream.received[0]?.split(get.slice(0, 5)).length === 3,
  );
  gateway.upstreamClock.advance(30_001);
  expect(await asked).toMatchObject({ status: 504, error: "http_response_timeout" });
  isGone = false;
  expect(await gateway.ask(get)).toMatchObject({ status: 200 });
  expect(upstream.received).toHaveLength(2);
  await gateway.stop();
  await upstream.close();
});

test("a peer that has closed its half while it was idle is not asked by that connection", async () => {
  const upstream = await startRawUpstream((socket) => {
    socket.write(`${ok}Content-Length: 2\r\n\r\nok`);
  });
  const gateway = await startGateway([upstream.url], { upstreamOptions: { connections: 1 } });
  expect(await gateway.ask(get)).toMatchObject({ status: 200 });
  for (const socket of upstream.sockets) socket.end();
  await until("the other half is closed too", () => upstream.sockets.size === 0);
  const answer = await fetch(gateway.url, { method: "POST", body: "a" });
  expect(answer.status).toBe(200);
  expect(upstream.received).toHaveLength(2);
  await gateway.stop();
  await upstream.close();
});

test("a POST that got no answer is not said to be repeatable", async () => {
  const upstream = await startRawUpstream((socket) => socket.destroy());
  const gateway = await startGateway([upstream.url]);
  const answer = await fetch(gateway.url, { method: "POST", body: "a" });
  expect(await answer.json()).toMatchObject({ error: { code: "upstream_outcome_unknown" } });
  expect(upstream.received).toHaveLength(1);
  await gateway.stop();
  await upstream.close();
});

test("a body that stops is cut off after its time", async () => {
  const upstream = await startRawUpstream((socket) => {
    socket.write(`${ok}Content-Length: 10\r\n\r\nhalf`);
  });
  const gateway = await startGateway([upstream.url]);
  const socket = connect(gateway.port, "127.0.0.1");
  socket.write(get);
  await once(socket, "data");
  gateway.upstreamClock.advance(60_001);
  await once(socket.resume(), "close");
  await until("its connection is closed", () => upstream.sockets.size === 0);
  expect(upstream.received).toHaveLength(1);
  await gateway.stop();
  await upstream.close();
});

test("a client that does not read holds back its upstream, and is cut off after its time", async () => {
  let written = 0;
  const upstream = await startRawUpstream((socket) => {
    socket.write(`${ok}Transfer-Encoding: chunked\r\n\r\n`);
    const more = (): void => {
      while (!socket.destroyed) {
        written += 65_536;
        if (!socket.write(`10000\r\n${"x".repeat(65_536)}\r\n`)) break;
      }
      socket.once("drain", more);
    };
    more();
  });
  const gateway = await startGateway([upstream.url]);
  const socket = connect(gateway.port, "127.0.0.1").pause();
  socket.on("error", () => undefined);
  socket.write(get);
  let before = -1;
  await until("nothing moves any more", async () => {
    const isSame = before === written && written > 0;
    before = written;
    await turns(20);
    return isSame && [...upstream.sockets].every(({ writableNeedDrain }) => writableNeedDrain);
  });
  gateway.upstreamClock.advance(60_001);
  await until("the upstream is rid of it", () => upstream.sockets.size === 0);
  expect(written).toBeLessThan(64 * 1_048_576);
  socket.destroy();
  await gateway.stop();
  await upstream.close();
});

test("more requests than an upstream may have are refused at once", async () => {
  const upstream = await startRawUpstream(() => undefined);
  const gateway = await startGateway([upstream.url], { upstreamOptions: { maxPending: 1 } });
  const first = connect(gateway.port, "127.0.0.1");
  first.write(get);
  await until("the first is there", () => upstream.received.length === 1);
  const answer = await fetch(gateway.url);
  expect(answer.status).toBe(503);
  expect(answer.headers.get("retry-after")).toBe("1");
  expect(await answer.json()).toMatchObject({ error: { code: "upstream_overloaded" } });
  first.destroy();
  await until("its place is free", () => upstream.sockets.size === 0);
  await gateway.stop();
  await upstream.close();
});

test("an upstream that answers before it has read the body ends the client's connection", async () => {
  const upstream = await startRawUpstream((socket) => {
    socket.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  });
  const gateway = await startGateway([upstream.url]);
  const seen = await gateway.ask(
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n${"x".repeat(100)}`,
  );
  expect(seen).toMatchObject({ status: 403, body: "no" });
  expect(seen.head).toMatch(/^connection: close/im);
  await gateway.stop();
  await upstream.close();
});
