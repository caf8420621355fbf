import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { Client } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { startHalfOpenProxy, type HalfOpenProxy } from "../src/index.ts";
import { postgresUrl } from "../src/postgres-url.ts";
import { eventually } from "./eventually.ts";

async function proxied(): Promise<{ proxy: HalfOpenProxy; client: Client; errors: Error[] }> {
  const proxy = await startHalfOpenProxy(postgresUrl());
  onTestFinished(() => proxy.close());
  const client = new Client({ connectionString: proxy.url });
  const errors: Error[] = [];
  client.on("error", (error) => errors.push(error));
  await client.connect();
  return { proxy, client, errors };
}

/** A whole exchange that does not use the proxy: long enough for one through it, were it forwarded. */
async function askBeside(): Promise<void> {
  const client = new Client({ connectionString: postgresUrl() });
  await client.connect();
  await client.query("select pg_sleep(0.1)");
  await client.end();
}

async function silentServer(): Promise<{ server: { port: number }; accepted: Socket[] }> {
  const accepted: Socket[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => undefined).resume();
    accepted.push(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { server: server.address() as AddressInfo, accepted };
}

async function backendsOf(client: Client): Promise<() => Promise<number>> {
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  const pid = rows[0]?.pid ?? 0;
  return async () => {
    const watcher = new Client({ connectionString: postgresUrl() });
    await watcher.connect();
    const found = await watcher.query("select 1 from pg_stat_activity where pid = $1", [pid]);
    await watcher.end();
    return found.rowCount ?? 0;
  };
}

describe("a half-open proxy", () => {
  test("forwards", async () => {
    const { proxy, client } = await proxied();
    const { rows } = await client.query("select repeat('x', 1000000) as big");
    expect(rows).toEqual([{ big: "x".repeat(1_000_000) }]);
    expect(proxy.connectionCount()).toBe(1);
    await client.end();
    await eventually("the proxy has noticed", () => proxy.connectionCount() === 0);
  });

  test("forwards nothing in a blackhole, keeps sockets open, and delivers late", async () => {
    const { proxy, client, errors } = await proxied();
    proxy.blackhole();
    let answered = false;
    const answer = client.query("select 1 as one").then((result) => {
      answered = true;
      return result.rows;
    });
    const late = new Client({ connectionString: proxy.url });
    let connected = false;
    const connecting = late.connect().then(() => {
      connected = true;
    });
    await eventually("both are at the proxy", () => proxy.connectionCount() === 2);
    await askBeside();
    expect({ answered, connected, errors }).toEqual({
      answered: false,
      connected: false,
      errors: [],
    });
    proxy.resume();
    expect(await answer).toEqual([{ one: 1 }]);
    await connecting;
    await late.end();
    await client.end();
  });

  test("tells neither side in a blackhole that the other has closed", async () => {
    const { server, accepted } = await silentServer();
    const proxy = await startHalfOpenProxy(`tcp://127.0.0.1:${server.port}`);
    onTestFinished(() => proxy.close());
    const dying = connect({ host: "127.0.0.1", port: proxy.port });
    await eventually("the first has reached the server", () => accepted.length === 1);
    const left = connect({ host: "127.0.0.1", port: proxy.port });
    await eventually("both have reached the server", () => accepted.length === 2);
    const [first, second] = accepted;
    proxy.blackhole();
    dying.resetAndDestroy();
    second?.resetAndDestroy();
    await askBeside();
    expect([first?.closed, left.closed]).toEqual([false, false]);
    proxy.resume();
    await eventually("both have heard", () => first?.closed === true && left.closed);
  });

  test("resets all connections and takes new ones", async () => {
    const { proxy, client, errors } = await proxied();
    const backends = await backendsOf(client);
    proxy.resetAll();
    await eventually("the client has noticed", () => errors.length > 0);
    expect(errors[0]).toMatchObject({ code: "ECONNRESET" });
    await eventually("the server has noticed", async () => (await backends()) === 0);
    const next = new Client({ connectionString: proxy.url });
    await next.connect();
    await next.end();
  });
});
