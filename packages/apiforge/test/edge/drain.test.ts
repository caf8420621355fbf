import { connect, type Socket } from "node:net";

import { Authority } from "@apiforge/testing/certificates";
import { turns, until } from "@apiforge/testing";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";

import { defineRoute, type EdgeOptions } from "../../src/edge/index.ts";
import { startHarness } from "./edge-harness.ts";
import { callHttp2, connectHttp2 } from "./http2/http2-client.ts";

const held: (() => void)[] = [];
const routes = ["/quick", "/held"].map((path) =>
  defineRoute({
    method: "GET",
    path,
    auth: "none",
    transaction: "none",
    replies: { 200: z.object({ path: z.string() }) },
    async handler() {
      if (path === "/held") {
        const { promise, resolve } = Promise.withResolvers<void>();
        held.push(resolve);
        await promise;
      }
      return { status: 200, body: { path } };
    },
  }),
);

interface Client {
  readonly socket: Socket;
  /** Everything that came. */
  text(): string;
  isClosed(): boolean;
  ask(path: string): void;
}

async function startServer(options: Partial<EdgeOptions> = {}) {
  const harness = await startHarness(routes, options);
  onTestFinished(() => harness.stop());
  const { url } = await harness.edge.listen({ port: 0, host: "127.0.0.1" });
  return { ...harness, port: Number(new URL(url).port) };
}

function open(port: number): Client {
  const socket = connect(port, "127.0.0.1").setEncoding("latin1");
  onTestFinished(() => void socket.destroy());
  let text = "";
  let isClosed = false;
  socket.on("data", (piece: string) => (text += piece));
  socket.on("error", () => undefined);
  socket.once("close", () => (isClosed = true));
  return {
    socket,
    text: () => text,
    isClosed: () => isClosed,
    ask: (path) => void socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`),
  };
}

async function answered(client: Client, count: number): Promise<void> {
  const answers = (): number => client.text().split("HTTP/1.1 200 ").length - 1;
  await until(`${count} answers`, () => answers() === count);
}

test("a connection that is kept open has its next request answered, and is closed with that", async () => {
  const { edge, port } = await startServer();
  const client = open(port);
  client.ask("/quick");
  await answered(client, 1);
  expect(client.text()).not.toContain("Connection: close");
  const drained = edge.drain();
  client.ask("/quick");
  await answered(client, 2);
  await until("it is closed", () => client.isClosed());
  expect(client.text()).toMatch(/connection: close/i);
  await drained;
});

test("so is one that asks for what no stage answers, and the server says that it is ready", async () => {
  const { edge, port } = await startServer();
  const client = open(port);
  client.ask("/quick");
  await answered(client, 1);
  const drained = edge.drain();
  client.ask("/health/ready");
  await answered(client, 2);
  await until("it is closed", () => client.isClosed());
  expect(client.text()).toMatch(/connection: close.*\{"status":"ready"\}$/is);
  await drained;
});

test("a request under way is answered, and nothing tells it that the server ends", async () => {
  const { edge, port } = await startServer();
  const client = open(port);
  client.ask("/held");
  await until("it is under way", () => held.length === 1);
  const drained = edge.drain();
  const other = open(port);
  await until("a new connection is refused", () => other.isClosed());
  held.pop()?.();
  await answered(client, 1);
  expect(client.isClosed()).toBe(false);
  client.ask("/quick");
  await answered(client, 2);
  await drained;
});

test("a connection on which nothing comes keeps nobody for more than 75 s, and is not closed by the drain", async () => {
  const { edge, port, clock } = await startServer();
  const client = open(port);
  client.ask("/quick");
  await answered(client, 1);
  let isOver = false;
  const drained = edge.drain().then(() => (isOver = true));
  clock.advance(74_999);
  await new Promise(setImmediate);
  expect([isOver, client.isClosed()]).toEqual([false, false]);
  clock.advance(1);
  await drained;
  expect(client.isClosed()).toBe(false);
  await edge.close();
  await until("it is closed by the end", () => client.isClosed());
});

test("a server that drains takes no other routes", async () => {
  const { edge } = await startServer();
  const drained = edge.drain();
  await expect(edge.replace({ routes })).rejects.toThrow("The server stops");
  await drained;
});

test("a connection of HTTP/2 has its next request answered with those under way, and ends with them", async () => {
  const root = await Authority.create("Root");
  const { key, cert } = await root.issue("server", { usage: "server" });
  const { edge, port } = await startServer({ tls: { key, cert } });
  const session = await connectHttp2(port, { ca: root.cert });
  onTestFinished(() => session.destroy());
  const goaways: number[] = [];
  session.on("goaway", (code: number) => goaways.push(code));
  const underWay = callHttp2(session, { ":path": "/held" });
  await until("it is under way", () => held.length === 1);
  const drained = edge.drain();
  await turns(20);
  expect(goaways).toEqual([]);
  const next = await callHttp2(session, { ":path": "/quick" });
  expect([next.headers[":status"], goaways]).toEqual([200, [0]]);
  held.pop()?.();
  expect((await underWay).headers[":status"]).toBe(200);
  await drained;
});
