import type { ServerResponse } from "node:http";
import { Duplex } from "node:stream";
import { turns, until } from "@apiforge/testing";
import { expect, test } from "vitest";

import { startGateway, startRawUpstream } from "./gateway-harness.ts";
import { unreadingClient, watchServers } from "./unreading-client.ts";

const clients = 1_000;
const bodyBytes = 524_288;
const uploadBytes = 1_048_576;
const pieceBytes = 16_384;
/** A piece as undici hands it on, and what a response takes before it says that it is full. */
const heldBytes = 131_072;

test("a thousand clients that do not read have a piece each held for them, not their answers", async () => {
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${bodyBytes}\r\n\r\n`;
  const answer = Buffer.concat([Buffer.from(head), Buffer.alloc(bodyBytes)]);
  const upstream = await startRawUpstream((socket, request) => {
    socket.write(request.startsWith("GET /large ") ? answer : "HTTP/1.1 204 No Content\r\n\r\n");
  });
  const gateway = await startGateway([upstream.url], { upstreamOptions: { connections: clients } });
  using watched = watchServers();
  await fetch(`${gateway.url}/first`);
  const waiting = Array.from({ length: clients }, () => unreadingClient("/large"));
  const server = watched.server("/first");
  for (const client of waiting) server.emit("connection", client);
  const responses = (): readonly ServerResponse[] => watched.responses("/large");
  const held = (): number[] => responses().map(({ writableLength }) => writableLength);
  await until("all have more than they take", async () => {
    await turns(20);
    return responses().filter(({ writableNeedDrain }) => writableNeedDrain).length === clients;
  });
  await turns(200);
  expect(held()).toHaveLength(clients);
  // The head is with the first piece.
  expect(Math.max(...held())).toBeLessThanOrEqual(heldBytes + 1_024);
  for (const client of waiting) client.destroy();
  await until("the upstream is rid of all", () => gateway.behind.states[0]?.pending === 0);
  await gateway.stop();
  await upstream.close();
});

/** A client that sends as much as is taken, a piece at a time. */
class Uploading extends Duplex {
  taken = 0;
  readonly #bytes: number;

  constructor(bytes: number) {
    super();
    this.#bytes = bytes;
    this.push(`POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n`);
  }

  override _read(): void {
    if (this.taken === this.#bytes) return;
    this.taken += pieceBytes;
    this.push(Buffer.alloc(pieceBytes));
  }

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
}

test("a thousand clients whose uploads nobody takes have pieces held of them, not their bodies", async () => {
  // It reads nothing behind the first head; the others wait for its connection.
  const upstream = await startRawUpstream((socket) => socket.pause());
  const gateway = await startGateway([upstream.url], {
    proxy: { maxBodyBytes: uploadBytes },
    upstreamOptions: { connections: 1 },
  });
  using watched = watchServers();
  const first = new AbortController();
  void fetch(`${gateway.url}/nowhere`, { signal: first.signal }).catch(() => undefined);
  await until("the server is known", () => watched.responses("/nowhere").length === 1);
  const waiting = Array.from({ length: clients }, () => new Uploading(uploadBytes));
  for (const client of waiting) watched.server("/nowhere").emit("connection", client);
  const taken = (): number => waiting.reduce((sum, client) => sum + client.taken, 0);
  let before = -1;
  await until("nothing moves any more", async () => {
    const isSame = before === taken() && watched.responses("/large").length === clients;
    before = taken();
    await turns(50);
    return isSame;
  });
  expect(Math.max(...waiting.map((client) => client.taken))).toBeLessThanOrEqual(heldBytes);
  for (const client of waiting) client.destroy();
  first.abort();
  await until("the upstream is rid of all", () => gateway.behind.states[0]?.pending === 0);
  await gateway.stop();
  await upstream.close();
});

test("a client that stops sending is told so, and its upstream is not blamed", async () => {
  const upstream = await startRawUpstream(() => undefined);
  const gateway = await startGateway([upstream.url], {
    upstreamOptions: { breaker: { failures: 1 } },
  });
  const asked = gateway.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbegun");
  await until("the upstream has its begin", () => upstream.received[0]?.endsWith("begun") === true);
  gateway.upstreamClock.advance(30_001);
  const seen = await asked;
  expect(seen).toMatchObject({ status: 408 });
  expect(seen.body).toContain('"request_timeout"');
  expect(seen.head).toMatch(/^connection: close/im);
  expect(gateway.behind.states[0]?.state).toBe("closed");
  await gateway.stop();
  await upstream.close();
});
