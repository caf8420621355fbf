import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createHttpClient, type HttpClient } from "@apiforge/testing";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";

import { createGateway, type GatewayConfig } from "../../../src/app/index.ts";
import { defineRoute, stage } from "../../../src/edge/index.ts";
import { silentLog } from "../../../src/kernel/index.ts";
import { startRawUpstream, type RawUpstream } from "../../gateway/gateway-harness.ts";

let upstream: RawUpstream;

beforeEach(async () => {
  upstream = await startRawUpstream((socket, request) => {
    const line = request.split("\r\n")[0] ?? "";
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${line.length}\r\n\r\n${line}`);
  });
});
afterEach(() => upstream.close());

/** Serves `config`, whose upstreams are all the one of the test. */
async function serve(config: Omit<GatewayConfig, "upstreams">, names = ["files"]) {
  const dataDir = await mkdtemp(join(tmpdir(), "gateway-"));
  const upstreams = Object.fromEntries(names.map((name) => [name, { endpoints: [upstream.url] }]));
  const gateway = await createGateway(
    { upstreams, ...config },
    { config: { port: 0, dataDir, logLevel: "silent" }, log: silentLog },
  );
  const { url } = await gateway.listen();
  const client: HttpClient = createHttpClient(url);
  onTestFinished(async () => {
    await client.close();
    await gateway.stop();
    await rm(dataDir, { recursive: true });
  });
  return client;
}

describe("a gateway by its configuration", () => {
  test("with upstreams only, the one gets every path", async () => {
    const client = await serve({ defaults: { auth: "none" } });
    expect((await client.request({ path: "/a/b?c=1" })).body).toBe("GET /a/b?c=1 HTTP/1.1");
    expect((await client.request({ path: "/health/ready" })).status).toBe(200);
  });

  test("with upstreams only, several have what is below their names", async () => {
    const client = await serve({ defaults: { auth: "none" } }, ["files", "users"]);
    expect((await client.request({ path: "/users/7" })).body).toBe("GET /7 HTTP/1.1");
    expect((await client.request({ path: "/others/7" })).status).toBe(404);
  });

  test("callers need a token where nothing else is said", async () => {
    const client = await serve({});
    expect((await client.request({ path: "/a" })).status).toBe(401);
  });

  test("a route's own words win over those of its policies, and theirs over the defaults", async () => {
    const client = await serve({
      defaults: { auth: "none", maxBodyBytes: 10 },
      policies: { small: { maxBodyBytes: 20 } },
      routes: [
        { path: "/default", upstream: "files" },
        { path: "/policy", upstream: "files", policies: ["small"] },
        { path: "/own", upstream: "files", policies: ["small"], maxBodyBytes: 30 },
      ],
    });
    const taken = async (path: string, bytes: number): Promise<number> => {
      const rawBody = "x".repeat(bytes);
      return (await client.request({ method: "POST", path, rawBody })).status;
    };
    expect([await taken("/default", 10), await taken("/default", 11)]).toEqual([200, 413]);
    expect([await taken("/policy", 20), await taken("/policy", 21)]).toEqual([200, 413]);
    expect([await taken("/own", 30), await taken("/own", 31)]).toEqual([200, 413]);
  });

  test("a policy's limit counts its routes together, and adds to the route's own", async () => {
    const client = await serve({
      defaults: { auth: "none" },
      policies: { slow: { limits: { perHour: 3 } } },
      routes: [
        { path: "/a", upstream: "files", policies: ["slow"], limits: { perHour: 1 } },
        { path: "/b", upstream: "files", policies: ["slow"] },
      ],
    });
    const status = async (path: string): Promise<number> => (await client.request({ path })).status;
    expect(await status("/a")).toBe(200);
    // Refused by its own limit, so nothing of the policy's is spent.
    expect(await status("/a")).toBe(429);
    expect([await status("/b"), await status("/b"), await status("/b")]).toEqual([200, 200, 429]);
  });

  test("a route of a policy that needs no caller and one that does have a count each", async () => {
    const client = await serve({
      policies: { slow: { limits: { perHour: 1 } } },
      routes: [
        { path: "/open", upstream: "files", policies: ["slow"], auth: "none" },
        { path: "/known", upstream: "files", policies: ["slow"] },
      ],
    });
    const answer = await client.request({ path: "/open" });
    expect(answer.status).toBe(200);
    expect(answer.headers["ratelimit-policy"]).toContain("slow-per-hour-by-address");
    expect((await client.request({ path: "/known" })).status).toBe(401);
  });

  test("functions stand beside data: routes with handlers, and stages", async () => {
    const hello = defineRoute({
      method: "GET",
      path: "/hello",
      auth: "none",
      transaction: "none",
      replies: { 200: z.object({ hello: z.string() }) },
      handler: () => ({ status: 200, body: { hello: "world" } }),
    });
    const marked = stage("mark", "route", () => ({
      leave: (exchange) => exchange.putHeader("x-marked", "yes"),
    }));
    const client = await serve({
      routes: [hello, { path: "/files/*", upstream: "files", auth: "none", stripPrefix: true }],
      stages: [marked],
    });
    const answer = await client.request({ path: "/hello" });
    expect(answer.json()).toEqual({ hello: "world" });
    expect(answer.headers["x-marked"]).toBe("yes");
    expect((await client.request({ path: "/files/1" })).body).toBe("GET /1 HTTP/1.1");
  });

  test("JSON Schema as data refuses what does not fit before the upstream is asked", async () => {
    const query = { type: "object", properties: { n: { type: "integer" } }, required: ["n"] };
    const client = await serve({
      routes: [{ path: "/q", upstream: "files", auth: "none", query }],
    });
    expect((await client.request({ path: "/q?n=1" })).status).toBe(200);
    expect((await client.request({ path: "/q?n=x" })).status).toBe(400);
    expect(upstream.received.join("")).not.toContain("n=x");
  });

  test("all problems are in one error, and nothing is opened", async () => {
    const config = { upstreams: {}, routes: [{ path: "a", upstream: "b" }] } as GatewayConfig;
    await expect(createGateway(config)).rejects.toMatchObject({
      code: "config_invalid",
      message: expect.stringMatching(/3 problems[^]*upstreams is empty[^]*routes\[0\]\.path/),
    });
  });
});
