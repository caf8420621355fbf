import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Server, ServerResponse } from "node:http";
import { Duplex } from "node:stream";
import { turns, until } from "@apiforge/testing";
import { expect, test } from "vitest";

import { startGateway, startRawUpstream } from "./gateway-harness.ts";

const clients = 1_000;
const bodyBytes = 524_288;
/** A piece as undici hands it on, and what a response takes before it says that it is full. */
const heldBytes = 131_072;

/** A client that asks and never reads: unlike a real connection it has no buffers of the system's. */
function unreadingClient(): Duplex {
  const client = new Duplex({ read: () => undefined, write: () => undefined });
  client.push("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  return client;
}

test("a thousand clients that do not read have a piece each held for them, not their answers", async () => {
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${bodyBytes}\r\n\r\n`;
  const answer = Buffer.concat([Buffer.from(head), Buffer.alloc(bodyBytes)]);
  const upstream = await startRawUpstream((socket, request) => {
    socket.write(request.startsWith("GET /large ") ? answer : "HTTP/1.1 204 No Content\r\n\r\n");
  });
  const gateway = await startGateway([upstream.url], { upstreamOptions: { connections: clients } });
  const servers: Server[] = [];
  const responses: ServerResponse[] = [];
  const note = (message: unknown): void => {
    const { server, response } = message as { server: Server; response: ServerResponse };
    if (response.req.url === "/large") responses.push(response);
    if (response.req.url === "/first") servers.push(server);
  };
  subscribe("http.server.request.start", note);
  await fetch(`${gateway.url}/first`);
  const waiting = Array.from({ length: clients }, unreadingClient);
  for (const client of waiting) servers.at(-1)?.emit("connection", client);
  const held = (): number[] => responses.map(({ writableLength }) => writableLength);
  await until("all have more than they take", async () => {
    await turns(20);
    return responses.filter(({ writableNeedDrain }) => writableNeedDrain).length === clients;
  });
  await turns(200);
  unsubscribe("http.server.request.start", note);
  expect(held()).toHaveLength(clients);
  // The head is with the first piece.
  expect(Math.max(...held())).toBeLessThanOrEqual(heldBytes + 1_024);
  for (const client of waiting) client.destroy();
  await until("the upstream is rid of all", () => gateway.behind.states[0]?.pending === 0);
  await gateway.stop();
  await upstream.close();
});
