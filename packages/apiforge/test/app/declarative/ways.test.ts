import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createHttpClient, until } from "@apiforge/testing";
import { describe, expect, onTestFinished, test } from "vitest";

import { createGateway, readConfig, type GatewayConfig } from "../../../src/app/index.ts";
import { compileGateway } from "../../../src/app/declarative/compile.ts";
import { explainRequest } from "../../../src/app/declarative/explain.ts";
import { silentLog } from "../../../src/kernel/index.ts";
import { startRawUpstream } from "../../gateway/gateway-harness.ts";

const names = ["stable", "next", "copied"] as const;
const settings = readConfig({});
const declared = Object.fromEntries(
  names.map((name) => [name, { endpoints: ["http://127.0.0.1:9"] }]),
);

/** Three services that answer their names, and a gateway in front of them. */
async function serve(config: Omit<GatewayConfig, "upstreams">) {
  const started = names.map(async (name) => {
    const answer = `HTTP/1.1 200 OK\r\ncontent-length: ${name.length}\r\n\r\n${name}`;
    const raw = await startRawUpstream((socket) => void socket.write(answer));
    onTestFinished(() => raw.close());
    return [name, raw] as const;
  });
  const servers = Object.fromEntries(await Promise.all(started));
  const upstreams = Object.fromEntries(
    names.map((name) => [name, { endpoints: [servers[name]?.url ?? ""] }]),
  );
  const dataDir = await mkdtemp(join(tmpdir(), "gateway-ways-"));
  const gateway = await createGateway(
    { upstreams, ...config },
    { config: { port: 0, dataDir, jobConcurrency: 0 }, log: silentLog },
  );
  const client = createHttpClient((await gateway.listen()).url);
  onTestFinished(async () => {
    await client.close();
    await gateway.stop();
    await rm(dataDir, { recursive: true });
  });
  const ask = async (path: string, headers: Record<string, string> = {}): Promise<string> =>
    (await client.request({ path, headers })).body;
  return { gateway, upstreams, servers, ask };
}

function problemsOf(config: object) {
  return compileGateway({ upstreams: declared, ...config }, settings).problems;
}

describe("canaries by their configuration", () => {
  const canaries = [
    { upstream: "next", share: 0.25, header: { name: "X-Canary", value: "next" } },
    { upstream: "copied", cookie: { name: "canary", value: "3" } },
  ] as const;

  test("get their share, and whoever asks for them", async () => {
    const { ask } = await serve({
      defaults: { auth: "none" },
      policies: { trial: { canaries } },
      routes: [
        { path: "/a", upstream: "stable", policies: ["trial"] },
        { path: "/b", upstream: "stable", policies: ["trial"], canaries: [] },
      ],
    });
    const bodies = [];
    for (let asked = 0; asked < 40; asked += 1) bodies.push(await ask("/a"));
    const share = bodies.filter((body) => body === "next").length;
    expect(Math.abs(share - 10)).toBeLessThanOrEqual(2);
    expect(bodies).not.toContain("copied");
    expect(await ask("/a", { "x-canary": "next" })).toBe("next");
    expect(await ask("/a", { cookie: "canary=3" })).toBe("copied");
    expect(await ask("/b", { "x-canary": "next" })).toBe("stable");
  });

  test("keep a client where the file says so, and their share can change while it serves", async () => {
    const config = (share: number) => ({
      defaults: { auth: "none", stickyBy: "client" } as const,
      routes: [{ path: "/a", upstream: "stable", canaries: [{ upstream: "next", share }] }],
    });
    const { gateway, upstreams, ask } = await serve(config(0.5));
    const first = await ask("/a");
    for (let asked = 0; asked < 5; asked += 1) expect(await ask("/a")).toBe(first);
    await gateway.change({ upstreams, ...config(1) });
    expect(await ask("/a")).toBe("next");
    await gateway.change({ upstreams, ...config(0) });
    expect(await ask("/a")).toBe("stable");
  });

  const route = { path: "/a", upstream: "stable" };
  test.each([
    ["nobody's", [{ upstream: "nex", share: 1 }], ["routes[0].canaries[0].upstream"]],
    ["more than all", [...canaries, { upstream: "copied", share: 0.8 }], ["routes[0].canaries"]],
    ["no share", [{ upstream: "next", share: 2 }], ["routes[0].canaries[0].share"]],
    ["without a way to them", [{ upstream: "next" }], ["routes[0].canaries[0]"]],
    ["without an upstream", [{ share: 1 }], ["routes[0].canaries[0].upstream"]],
    [
      "a mark without a value",
      [{ upstream: "next", header: { name: "x" } }],
      ["routes[0].canaries[0].header.value"],
    ],
  ])("cannot be %s", (_name, given, paths) => {
    const found = problemsOf({ routes: [{ ...route, canaries: given }] });
    expect(found.map(({ path }) => path)).toEqual(paths);
  });

  test("of a policy are looked up where they stand", () => {
    const policies = {
      p: { canaries: [{ upstream: "nex", share: 1 }], shadow: { upstream: "x" } },
    };
    const found = problemsOf({ policies, routes: [{ ...route, policies: ["p"] }] });
    expect(found).toEqual([
      {
        path: "policies.p.canaries[0].upstream",
        problem: "names no upstream",
        remedy: "Write next, or declare it.",
      },
      {
        path: "policies.p.shadow.upstream",
        problem: "names no upstream",
        remedy: "Declare it, or name another; there is stable, next, copied.",
      },
    ]);
  });

  test("do not go together with a cache, whoever says which", () => {
    const defaults = { cache: true };
    const found = problemsOf({ defaults, routes: [{ ...route, canaries }] });
    expect(found.map(({ path }) => path)).toEqual(["routes[0].canaries"]);
    expect(problemsOf({ defaults, routes: [{ ...route, canaries, cache: false }] })).toEqual([]);
  });
});

describe("a shadow by its configuration", () => {
  test("gets copies, where no route says otherwise", async () => {
    const { ask, servers } = await serve({
      defaults: { auth: "none", shadow: { upstream: "copied" } },
      routes: [
        { path: "/a", upstream: "stable" },
        { path: "/b", upstream: "stable", shadow: false },
      ],
    });
    expect(await ask("/b")).toBe("stable");
    expect(await ask("/a")).toBe("stable");
    const copies = () => servers["copied"]?.received.join("") ?? "";
    await until("the copy has come", () => copies().includes("GET /a "));
    expect(copies()).toMatch(/^x-shadow-request: true\r$/m);
    expect(copies()).not.toContain("GET /b ");
  });

  test.each([
    [{ upstream: "nobody" }, "shadow.upstream"],
    [{ upstream: "copied", share: -1 }, "shadow.share"],
    [true, "shadow"],
  ])("cannot be %j", (shadow, path) => {
    const found = problemsOf({ routes: [{ path: "/a", upstream: "stable", shadow }] });
    expect(found.map((problem) => problem.path)).toEqual([`routes[0].${path}`]);
  });
});

test("both are told by explain, without the values that lead to them", async () => {
  const config = {
    upstreams: declared,
    routes: [
      {
        path: "/a",
        upstream: "stable",
        canaries: [
          { upstream: "next", share: 0.05, header: { name: "x-canary", value: "hunter2" } },
        ],
        stickyBy: "principal",
        shadow: { upstream: "copied", share: 0.125 },
      },
    ],
  };
  const { gateway } = compileGateway(config, settings);
  if (gateway === undefined) throw new Error("The configuration is unsound");
  const request = { method: "GET", path: "/a", headers: {} };
  const explained = await explainRequest(gateway, settings, request);
  const does = explained.stages.filter(({ stage }) => stage === "backend");
  expect(does.map((line) => line.does)).toEqual([
    "upstream stable",
    "canary next: those with its header x-canary, 5 % of the requests",
    "one upstream for each principal",
    "copies to copied: 12.5 % of the requests",
  ]);
  expect(JSON.stringify(explained)).not.toContain("hunter2");
  expect(explained.route?.backend).toBe("upstream stable");
  const marked = { ...request, headers: { "x-canary": "hunter2" } };
  const { route } = await explainRequest(gateway, settings, marked);
  expect(route?.backend).toBe("upstream next");
});
