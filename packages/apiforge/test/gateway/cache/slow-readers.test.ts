import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect } from "node:http2";
import { get } from "node:https";
import { buffer } from "node:stream/consumers";
import { turns, until } from "@apiforge/testing";
import { afterEach, beforeEach, expect, test } from "vitest";

import {
  defineProxy,
  responseCache,
  upstream as defineUpstream,
} from "../../../src/gateway/index.ts";
import { startTls } from "../../edge/http2/http2-harness.ts";
import { startGateway, startRawUpstream, type GatewayHarness } from "../gateway-harness.ts";
import {
  readingClient,
  unreadingClient,
  watchServers,
  type WatchedServers,
} from "../unreading-client.ts";

const clients = 1_000;
const bodyBytes = 524_288;
const answer = Buffer.concat([
  Buffer.from(
    `HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: ${bodyBytes}\r\n\r\n`,
  ),
  Buffer.alloc(bodyBytes),
]);
/** A piece as undici hands it on, and what a response takes before it says that it is full. */
const heldBytes = 131_072;

let watched: WatchedServers;
beforeEach(() => (watched = watchServers()));
afterEach(() => watched[Symbol.dispose]());

/** How much more of memory is taken by bytes than before `work`; what nobody holds is not counted for long. */
async function grownBytes(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage().arrayBuffers;
  await work();
  return process.memoryUsage().arrayBuffers - before;
}

async function gatewayTo(
  upstream: { readonly url: string },
  cache = responseCache(),
): Promise<GatewayHarness> {
  return startGateway([upstream.url], {
    proxy: { cache },
    upstreamOptions: { connections: clients },
  });
}

function unread(path: string): readonly ServerResponse[] {
  return watched.responses(path).filter(({ writableLength }) => writableLength > 0);
}

test("a thousand clients that do not read a stored answer hold it once", async () => {
  const upstream = await startRawUpstream((socket) => void socket.write(answer));
  const gateway = await gatewayTo(upstream);
  await gateway.ask("GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const waiting = Array.from({ length: clients }, () => unreadingClient("/large"));
  const server = watched.server("/large");
  const grown = await grownBytes(async () => {
    for (const client of waiting) server.emit("connection", client);
    await until("all have an answer", () => unread("/large").length === clients);
  });
  // With a copy for each it would be 500 MiB.
  expect(grown).toBeLessThan(16 * bodyBytes);
  expect(upstream.received.join("").match(/GET \/large /g)).toHaveLength(1);
  for (const client of waiting) client.destroy();
  await gateway.stop();
  await upstream.close();
});

test("over TLS, which copies what it is given, they have a piece each", async () => {
  const upstream = await startRawUpstream((socket, request) => {
    socket.write(request.startsWith("GET /large ") ? answer : "HTTP/1.1 204 No Content\r\n\r\n");
  });
  const cache = responseCache();
  const gateway = await gatewayTo(upstream, cache);
  await fetch(`${gateway.url}/first`);
  const server = watched.server("/first");
  const encrypted = { encrypted: true };
  server.emit("connection", Object.assign(readingClient("/large"), encrypted));
  await until("its answer is stored", () => cache.usable.length === 1);
  const waiting = Array.from({ length: clients }, () =>
    Object.assign(unreadingClient("/large"), encrypted),
  );
  for (const client of waiting) server.emit("connection", client);
  await until("all have more than they take", async () => {
    await turns(20);
    return unread("/large").length === clients;
  });
  await turns(100);
  const held = unread("/large").map(({ writableLength }) => writableLength);
  expect(Math.max(...held)).toBeLessThanOrEqual(heldBytes);
  for (const client of waiting) client.destroy();
  await gateway.stop();
  await upstream.close();
});

test("in pieces it is the same answer, by whatever protocol", async () => {
  const body = Buffer.from(Array.from({ length: 300_000 }, (_, n) => n % 251));
  const upstream = await startRawUpstream((socket) => {
    socket.write(
      `HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body);
  });
  const behind = defineUpstream({ name: "behind", endpoints: [upstream.url] });
  const cache = responseCache();
  await using tls = await startTls(
    defineProxy({ path: "/*", auth: "none", upstream: behind, cache }),
  );
  const ca = tls.root.cert;
  const checkServerIdentity = (): undefined => undefined;
  const url = `https://127.0.0.1:${tls.port}`;
  const byHttp1 = async (): Promise<Buffer> => {
    const asked = get(`${url}/large`, { ca, checkServerIdentity, agent: false });
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    return buffer(response);
  };
  const session = connect(url, { ca, checkServerIdentity });
  const byHttp2 = (): Promise<Buffer> => buffer(session.request({ ":path": "/large" }));
  for (const ask of [byHttp1, byHttp1, byHttp2]) expect((await ask()).equals(body)).toBe(true);
  expect(upstream.received.join("").match(/GET \/large /g)).toHaveLength(1);
  session.close();
  await upstream.close();
});

test("a thousand clients that wait for one answer and do not read it hold it once", async () => {
  let finish = (): void => undefined;
  const upstream = await startRawUpstream((socket, request) => {
    if (request.startsWith("GET /large ")) finish = () => void socket.write(answer);
    else socket.write("HTTP/1.1 204 No Content\r\n\r\n");
  });
  const gateway = await gatewayTo(upstream);
  await fetch(`${gateway.url}/first`);
  const waiting = Array.from({ length: clients }, () => unreadingClient("/large"));
  const server = watched.server("/first");
  const grown = await grownBytes(async () => {
    for (const client of waiting) server.emit("connection", client);
    await until("all wait", () => watched.responses("/large").length === clients);
    await until("one has asked", () => upstream.received.join("").includes("GET /large "));
    finish();
    await until("all have an answer", () => unread("/large").length === clients);
  });
  expect(grown).toBeLessThan(16 * bodyBytes);
  expect(upstream.received.join("").match(/GET \/large /g)).toHaveLength(1);
  for (const client of waiting) client.destroy();
  await until("the upstream is rid of all", () => gateway.behind.states[0]?.pending === 0);
  await gateway.stop();
  await upstream.close();
});

test("answers that others wait for are held for clients that do not read only as far as the cache has room", async () => {
  const paths = Array.from({ length: 200 }, (_, n) => `/large/${n}`);
  const maxBytes = 8_388_608;
  const upstream = await startRawUpstream((socket, request) => {
    socket.write(request.startsWith("GET /large/") ? answer : "HTTP/1.1 204 No Content\r\n\r\n");
  });
  const gateway = await gatewayTo(upstream, responseCache({ maxBytes }));
  await fetch(`${gateway.url}/first`);
  const server = watched.server("/first");
  const waiting = paths.flatMap((path) => [unreadingClient(path), unreadingClient(path)]);
  for (const client of waiting) server.emit("connection", client);
  const asking = (): readonly ServerResponse[] => paths.flatMap((path) => watched.responses(path));
  let before = -1;
  await until("nothing moves any more", async () => {
    const held = asking().reduce((sum, { writableLength }) => sum + writableLength, 0);
    const isSame = held === before && asking().length === waiting.length;
    before = held;
    await turns(100);
    return isSame;
  });
  // What is stored is held once, however many have it; of the others a piece each.
  expect(before).toBeLessThanOrEqual(2 * maxBytes + waiting.length * heldBytes);
  for (const client of waiting) client.destroy();
  await until("the upstream is rid of all", () => gateway.behind.states[0]?.pending === 0);
  await gateway.stop();
  await upstream.close();
});
