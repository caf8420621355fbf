import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { until } from "@apiforge/testing";
import { describe, expect, onTestFinished, test } from "vitest";

import { createGateway, readConfig, type GatewayConfig } from "../../../src/app/index.ts";
import { compileGateway } from "../../../src/app/declarative/compile.ts";
import { explainRequest } from "../../../src/app/declarative/explain.ts";
import { routeRows } from "../../../src/app/declarative/route-rows.ts";
import { silentLog } from "../../../src/kernel/index.ts";
import { startEchoServer } from "../../gateway/grpc/echo-service.ts";

const settings = readConfig({});
const upstreams = { echo: { endpoints: ["http://127.0.0.1:9"] } };

async function serve(config: GatewayConfig): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), "gateway-grpc-"));
  const gateway = await createGateway(config, {
    config: { port: 0, dataDir, jobConcurrency: 0 },
    log: silentLog,
  });
  onTestFinished(async () => {
    await gateway.stop();
    await rm(dataDir, { recursive: true });
  });
  return (await gateway.listen()).url;
}

/** Calls a method by gRPC-Web, which needs no HTTP/2; answers all that comes, trailer included. */
async function call(url: string, method: string, message: string): Promise<string> {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  const answer = await fetch(`${url}/test.v1.Echo/${method}`, {
    method: "POST",
    headers: { "content-type": "application/grpc-web+proto" },
    body: Buffer.concat([head, Buffer.from(message)]),
  });
  return Buffer.from(await answer.arrayBuffer()).toString("latin1");
}

function problemsOf(route: object, rest: object = {}) {
  return compileGateway({ upstreams, routes: [route], ...rest }, settings).problems;
}

describe("a service of gRPC by its configuration", () => {
  test("is called through the stages", async () => {
    const echo = await startEchoServer();
    onTestFinished(() => echo.kill());
    const url = await serve({
      upstreams: { echo: { endpoints: [`http://${echo.target}`] } },
      defaults: { auth: "none" },
      routes: [
        { grpc: "test.v1.Echo", upstream: "echo", methods: ["Say"] },
        { grpc: "test.v1.Echo", upstream: "echo", methods: ["Join"], auth: "jwt" },
      ],
    });
    const said = await call(url, "Say", "hello");
    expect(said).toContain("said hello");
    expect(said).toContain("grpc-status: 0");
    expect(await call(url, "Join", "hello")).toContain("apiforge-error: missing_token");
    expect(await call(url, "Split", "hello")).toContain("apiforge-error: route_not_found");
  });

  test("is left alone while its upstream says by grpc.health.v1 that it is not well", async () => {
    const echo = await startEchoServer();
    onTestFinished(() => echo.kill());
    const url = await serve({
      // It does not know the protocol, which is no word for it.
      upstreams: {
        echo: { endpoints: [`http://${echo.target}`], health: { service: "", failures: 1 } },
      },
      defaults: { auth: "none" },
      routes: [{ grpc: "test.v1.Echo", upstream: "echo" }],
    });
    let answer = "";
    await until("it has been asked", async () => {
      answer = await call(url, "Say", "hello");
      return !answer.includes("said hello");
    });
    expect(answer).toContain("grpc-status: 14");
  });

  test("takes over what it can have of defaults, and of its policies all", () => {
    const { gateway } = compileGateway(
      {
        upstreams,
        defaults: { maxInFlight: 7, cache: true, preserveHost: true },
        policies: { staff: { roles: ["admin"], limits: { perMinute: 60 } } },
        routes: [{ grpc: "test.v1.Echo", upstream: "echo", policies: ["staff"], scopes: ["say"] }],
      },
      settings,
    );
    expect(gateway?.caches).toEqual([]);
    expect(gateway?.routes).toMatchObject([
      {
        method: "POST",
        path: "/test.v1.Echo/:method",
        roles: ["admin"],
        scopes: ["say"],
        maxInFlight: 7,
        limits: [{ name: "staff-per-minute" }],
      },
    ]);
  });

  test.each([
    ["a service that is none", { grpc: "test/Echo" }, ["routes[0].grpc"]],
    ["a method that is none", { methods: ["Say hello"] }, ["routes[0].methods[0]"]],
    ["an upstream that is none", { upstream: "ecko" }, ["routes[0].upstream"]],
    ["what only HTTP has", { idempotency: "required" }, ["routes[0].idempotency"]],
    ["a policy of what only HTTP has", { policies: ["kept"] }, ["routes[0].policies[0]"]],
    ["roles where nobody is known", { auth: "none", roles: ["a"] }, ["routes[0]"]],
  ])("cannot have %s", (_name, words, paths) => {
    const policies = { kept: { cache: true, roles: ["admin"] } };
    const found = problemsOf({ grpc: "test.v1.Echo", upstream: "echo", ...words }, { policies });
    expect(found.map(({ path }) => path)).toEqual(paths);
  });

  test("cannot be declared twice", () => {
    const route = { grpc: "test.v1.Echo", upstream: "echo" };
    const { problems } = compileGateway({ upstreams, routes: [route, route] }, settings);
    expect(problems.map(({ path }) => path)).toEqual(["routes[1]"]);
  });

  test("stands in the route table, and is explained", async () => {
    const config = { upstreams, routes: [{ grpc: "test.v1.Echo", upstream: "echo" }] };
    const { gateway } = compileGateway(config, settings);
    if (gateway === undefined) throw new Error("The configuration is unsound");
    expect(routeRows(gateway)).toMatchObject([
      { methods: ["POST"], path: "/test.v1.Echo/:method", backend: "upstream echo" },
    ]);
    const path = "/test.v1.Echo/Say";
    const request = { method: "POST", path, headers: {} };
    const { verdict, route } = await explainRequest(gateway, settings, request);
    expect(verdict).toMatchObject({ outcome: "refused", code: "missing_token" });
    expect(route).toMatchObject({ at: "routes[0]", backend: "upstream echo", upstreamPath: path });
  });
});
