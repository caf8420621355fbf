import { once } from "node:events";
import { get, Agent, type IncomingMessage } from "node:http";

import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";

import { defineRoute, stage, type EdgeOptions, type Route } from "../../src/edge/index.ts";
import { defineProxy, upstream } from "../../src/gateway/index.ts";
import { startRawUpstream } from "../gateway/gateway-harness.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

const said = z.object({ said: z.string() });

function saying(path: string, text: string, limit?: number): Route {
  return defineRoute({
    method: "GET",
    path,
    auth: "none",
    transaction: "none",
    replies: { 200: said },
    ...(limit === undefined ? {} : { limits: [{ name: "few", limit, per: "1h" as const }] }),
    handler: () => ({ status: 200, body: { said: text } }),
  });
}

async function serve(routes: readonly Route[], options: Partial<EdgeOptions> = {}) {
  const harness = await startHarness(routes, options);
  onTestFinished(() => harness.stop());
  const { url } = await harness.edge.listen({ port: 0, host: "127.0.0.1" });
  return { ...harness, url };
}

async function statuses(edge: Harness["edge"], path: string, times: number): Promise<number[]> {
  const found: number[] = [];
  for (let time = 0; time < times; time += 1) {
    found.push((await edge.inject({ method: "GET", url: path })).statusCode);
  }
  return found;
}

function textOf(url: string, agent: Agent): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  get(url, { agent }, (response: IncomingMessage) => {
    let text = "";
    response.on("data", (bytes: Buffer) => (text += bytes.toString()));
    response.on("end", () => resolve(text));
  }).on("error", reject);
  return promise;
}

describe("a server whose routes are replaced", () => {
  test("serves the new ones on connections that are open, and no longer the old", async () => {
    const { edge, url } = await serve([saying("/a", "old"), saying("/b", "old")]);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    expect(await textOf(`${url}/a`, agent)).toBe('{"said":"old"}');
    await edge.replace({ routes: [saying("/a", "new"), saying("/c", "new")] });
    expect(await textOf(`${url}/a`, agent)).toBe('{"said":"new"}');
    expect(await textOf(`${url}/c`, agent)).toBe('{"said":"new"}');
    expect(await textOf(`${url}/b`, agent)).toContain("route_not_found");
    // One connection for all of them.
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1);
  });

  test("describes the new ones, and answers what no route does by them", async () => {
    const { edge } = await serve([saying("/a", "old")]);
    await edge.replace({ routes: [saying("/b", "new")], api: { title: "New", version: "2.0.0" } });
    const document = (await edge.inject({ method: "GET", url: "/openapi.json" })).json<{
      info: object;
      paths: object;
    }>();
    expect(document.info).toEqual({ title: "New", version: "2.0.0" });
    expect(Object.keys(document.paths)).toEqual(["/b"]);
    expect((await edge.inject({ method: "DELETE", url: "/b" })).headers["allow"]).toContain("GET");
  });

  test("a request that is under way ends with the stages that it began with", async () => {
    const { promise: goOn, resolve } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const slow = defineRoute({
      method: "GET",
      path: "/slow",
      auth: "none",
      transaction: "none",
      replies: { 200: said },
      handler: async () => {
        begin();
        await goOn;
        return { status: 200, body: { said: "old" } };
      },
    });
    const marked = stage("mark", "route", () => ({
      leave: (exchange) => exchange.putHeader("x-stage", "old"),
    }));
    const { edge, url } = await serve([slow], { stages: [marked] });
    const answer = fetch(`${url}/slow`);
    await begun;
    await edge.replace({ routes: [saying("/slow", "new")] });
    resolve();
    const old = await answer;
    expect(old.headers.get("x-stage")).toBe("old");
    expect(await old.json()).toEqual({ said: "old" });
    const fresh = await fetch(`${url}/slow`);
    expect(fresh.headers.get("x-stage")).toBeNull();
    expect(await fresh.json()).toEqual({ said: "new" });
  });

  test("what cannot work is refused, and the old goes on", async () => {
    const { edge } = await serve([saying("/a", "old")]);
    const twice = [saying("/b", "one"), saying("/b", "other")];
    await expect(edge.replace({ routes: twice })).rejects.toThrow();
    expect(await statuses(edge, "/a", 1)).toEqual([200]);
    await edge.replace({ routes: [saying("/b", "new")] });
    expect(await statuses(edge, "/b", 1)).toEqual([200]);
  });

  test("limits go on with what they have counted, by their new number", async () => {
    const { edge } = await serve([saying("/a", "old", 3)]);
    expect(await statuses(edge, "/a", 2)).toEqual([200, 200]);
    await edge.replace({ routes: [saying("/b", "new", 3)] });
    expect(await statuses(edge, "/b", 2)).toEqual([200, 429]);
    await edge.replace({ routes: [saying("/b", "new", 4)] });
    expect(await statuses(edge, "/b", 2)).toEqual([200, 429]);
    await edge.replace({ routes: [saying("/b", "new", 2)] });
    expect(await statuses(edge, "/b", 1)).toEqual([429]);
  });

  test("a limit of the same name that counts something else is refused", async () => {
    const { edge } = await serve([saying("/a", "old", 3)]);
    const other = saying("/a", "new");
    const [policy] = saying("/a", "new", 3).limits;
    if (policy === undefined) throw new Error("No limit");
    const routes = [{ ...other, limits: [{ ...policy, windowMs: 1_000 }] }];
    await expect(edge.replace({ routes })).rejects.toThrow("Limit few counts something else");
    expect(await statuses(edge, "/a", 4)).toEqual([200, 200, 200, 429]);
  });

  test("lines of the log carry the revision by which a request was served", async () => {
    const { edge, lines } = await serve([saying("/a", "old")], { accessLog: {}, revision: "1-a" });
    await statuses(edge, "/a", 1);
    await edge.replace({ routes: [saying("/a", "new")], revision: "2-b" });
    await statuses(edge, "/a", 1);
    const revisions = lines
      .filter(({ message }) => message === "answered")
      .map(({ fields }) => fields["revision"]);
    expect(revisions).toEqual(["1-a", "2-b"]);
  });

  test("one that stops closes connections, whichever routes it serves", async () => {
    const { edge, url } = await serve([saying("/a", "old")]);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await textOf(`${url}/a`, agent);
    await edge.replace({ routes: [saying("/a", "new")] });
    await textOf(`${url}/a`, agent);
    await edge.close();
    await expect(textOf(`${url}/a`, agent)).rejects.toThrow();
    await expect(edge.replace({ routes: [] })).rejects.toThrow("The server stops");
  });
});

describe("upstreams of a server whose routes are replaced", () => {
  test("one that nothing leads to any more is closed when its last answer has ended", async () => {
    let answer: (() => void) | undefined;
    const raw = await startRawUpstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhe");
      answer = () => socket.write("re");
    });
    onTestFinished(() => raw.close());
    const old = upstream({ name: "old", endpoints: [raw.url] });
    const { edge, url } = await serve(defineProxy({ path: "/*", auth: "none", upstream: old }));
    const response = await fetch(`${url}/a`);
    await edge.replace({ routes: [saying("/b", "new")] });
    expect(raw.sockets.size).toBe(1);
    const [socket] = raw.sockets;
    if (socket === undefined) throw new Error("No connection");
    const closed = once(socket, "close");
    answer?.();
    expect(await response.text()).toBe("here");
    await closed;
    expect(raw.sockets.size).toBe(0);
  });

  test("one that stays keeps its connections", async () => {
    const raw = await startRawUpstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    onTestFinished(() => raw.close());
    const stays = upstream({ name: "stays", endpoints: [raw.url], connections: 1 });
    const routes = (path: string) => defineProxy({ path, auth: "none", upstream: stays });
    const { edge, url } = await serve(routes("/a"));
    expect(await (await fetch(`${url}/a`)).text()).toBe("ok");
    await edge.replace({ routes: routes("/b") });
    expect(await (await fetch(`${url}/b`)).text()).toBe("ok");
    expect(raw.received).toHaveLength(1);
  });
});
