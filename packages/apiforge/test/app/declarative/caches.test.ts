import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createDatabase, createHttpClient, eventually } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { describe, expect, onTestFinished, test } from "vitest";

import {
  createGateway,
  everyCache,
  purgeCaches,
  readConfig,
  type Config,
  type GatewayConfig,
  type PurgeRequest,
} from "../../../src/app/index.ts";
import { compileGateway } from "../../../src/app/declarative/compile.ts";
import { explainRequest } from "../../../src/app/declarative/explain.ts";
import { silentLog } from "../../../src/kernel/index.ts";
import { startRawUpstream } from "../../gateway/gateway-harness.ts";

const settings = readConfig({});
const upstreams = { files: { endpoints: ["http://127.0.0.1:9"] } };

async function dataDirectory(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), "gateway-cache-"));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  return dataDir;
}

/** A service whose answers are numbered; `fields` are the same of all. */
async function numbering(fields: string): Promise<string> {
  const upstream = await startRawUpstream((socket, _request, number) => {
    const body = String(number);
    socket.write(`HTTP/1.1 200 OK\r\n${fields}content-length: ${body.length}\r\n\r\n${body}`);
  });
  onTestFinished(() => upstream.close());
  return upstream.url;
}

const fresh = "cache-control: max-age=600\r\ncache-tag: prices\r\n";

/** A gateway of `config`; its clients name one host, since that is a part of what is asked for. */
async function serve(config: GatewayConfig, own: Partial<Config>) {
  const gateway = await createGateway(config, {
    config: { port: 0, jobConcurrency: 0, ...own },
    log: silentLog,
  });
  const client = createHttpClient((await gateway.listen()).url);
  let isStopped = false;
  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    await client.close();
    await gateway.stop();
  };
  onTestFinished(stop);
  const ask = (path: string) => client.request({ path, headers: { host: "api.test" } });
  return { gateway, stop, ask, body: async (path: string) => (await ask(path)).body };
}

function configOf(url: string, rest: Omit<GatewayConfig, "upstreams"> = {}): GatewayConfig {
  return {
    upstreams: { files: { endpoints: [url] } },
    defaults: { auth: "none", cache: true },
    ...rest,
  };
}

function purge(own: Partial<Config>, request: PurgeRequest, waitMs = 20_000): Promise<boolean> {
  return purgeCaches({ ...settings, ...own }, request, { log: silentLog, waitMs });
}

describe("a cache by its configuration", () => {
  test("gives stored answers again where routes, their policies or the defaults name it", async () => {
    const url = await numbering(fresh);
    const config = configOf(url, {
      caches: { prices: { maxBytes: 1_000_000, maxEntryBytes: 1_000 } },
      policies: { kept: { cache: "prices" } },
      routes: [
        { path: "/a", upstream: "files" },
        { path: "/b", upstream: "files", policies: ["kept"] },
        { path: "/c", upstream: "files", policies: ["kept"], cache: false },
      ],
    });
    const { ask, body } = await serve(config, { dataDir: await dataDirectory() });
    expect([await body("/a"), await body("/a")]).toEqual(["1", "1"]);
    expect((await ask("/a")).headers["cache-status"]).toMatch(/; hit/);
    expect([await body("/b"), await body("/b")]).toEqual(["2", "2"]);
    expect([await body("/c"), await body("/c")]).toEqual(["3", "4"]);
  });

  test("what may be kept can be said where the service says nothing", async () => {
    const set = { "cache-control": "max-age=600", "cache-tag": "prices" };
    const config = configOf(await numbering(""), {
      routes: [{ path: "/*", upstream: "files", response: { headers: { set } } }],
    });
    const own = { dataDir: await dataDirectory() };
    const { body } = await serve(config, own);
    expect([await body("/a"), await body("/a")]).toEqual(["1", "1"]);
    expect(await purge(own, { cache: everyCache, purges: [{ tag: "prices" }] })).toBe(true);
    expect(await body("/a")).toBe("2");
  });

  test("is told by explain", async () => {
    const config = { upstreams, routes: [{ path: "/a", upstream: "files", cache: true }] };
    const { gateway } = compileGateway(config, settings);
    if (gateway === undefined) throw new Error("The configuration is unsound");
    const request = { method: "GET", path: "/a", headers: {} };
    const { stages } = await explainRequest(gateway, settings, request);
    expect(stages.map(({ does }) => does)).toContain(
      "cache responses: 67,108,864 bytes, 1,048,576 an answer",
    );
  });

  test.each([
    [
      "a name that none has",
      { caches: { prices: {} }, defaults: { cache: "price" } },
      ["defaults.cache"],
    ],
    ["a policy's", { policies: { p: { cache: "x" } } }, ["policies.p.cache"]],
    ["a route's", { routes: [{ path: "/a", upstream: "files", cache: "x" }] }, ["routes[0].cache"]],
    ["a number", { defaults: { cache: 7 } }, ["defaults.cache"]],
    ["no room for an entry", { caches: { a: { maxBytes: 100, maxEntryBytes: 90 } } }, ["caches.a"]],
    ["a size that is none", { caches: { a: { maxBytes: "1 GB" } } }, ["caches.a.maxBytes"]],
    ["a field that is none", { caches: { a: { maxSize: 1 } } }, ["caches.a.maxSize"]],
  ])("cannot be %s", (_name, config, paths) => {
    const { problems } = compileGateway({ upstreams, ...config }, settings);
    expect(problems.map(({ path }) => path)).toEqual(paths);
  });
});

describe("a cache while its configuration changes", () => {
  test("goes on when nothing changes that decides what is answered", async () => {
    const url = await numbering(fresh);
    const { gateway, body } = await serve(configOf(url), { dataDir: await dataDirectory() });
    expect(await body("/a")).toBe("1");
    const defaults = { auth: "none", cache: true } as const;
    const changed = { ...defaults, limits: { perMinute: 600 }, tags: ["files"] };
    const upstream = { endpoints: [url], connections: 3 };
    await gateway.change({ upstreams: { files: upstream }, defaults: changed });
    expect(await body("/a")).toBe("1");
  });

  const url = "http://127.0.0.1:9";
  test.each([
    ["its room", { caches: { responses: { maxBytes: 10_000_000 } } }],
    ["fields of answers", { defaults: { response: { headers: { remove: ["server"] } } } }],
    ["what of answers is shown", { defaults: { sanitizeErrors: true } }],
    ["who is let in by what", { defaults: { auth: "optional" } }],
    ["where the service runs", { upstreams: { files: { endpoints: [url, url] } } }],
    ["the paths that have it", { routes: [{ path: "/a/*", upstream: "files" }] }],
  ])("is another one with another word on %s", (_name, change) => {
    const before = { upstreams, defaults: { cache: true } };
    const defaults = { cache: true, ...("defaults" in change ? change.defaults : {}) };
    const planned = (config: unknown) =>
      compileGateway(config, settings).gateway?.caches.map(({ plan }) => plan);
    expect(planned({ ...before, ...change, defaults })).toHaveLength(1);
    expect(planned({ ...before, ...change, defaults })).not.toEqual(planned(before));
    expect(planned(structuredClone(before))).toEqual(planned(before));
  });

  test("begins empty when it is another one, and when it comes back", async () => {
    const config = configOf(await numbering(fresh));
    const { gateway, body } = await serve(config, { dataDir: await dataDirectory() });
    expect(await body("/a")).toBe("1");
    await gateway.change({
      ...config,
      defaults: { auth: "none", cache: true, preserveHost: true },
    });
    expect([await body("/a"), await body("/a")]).toEqual(["2", "2"]);
    await gateway.rollback();
    expect([await body("/a"), await body("/a")]).toEqual(["3", "3"]);
  });

  test("that comes with a change is purged like any other", async () => {
    const config = configOf(await numbering(fresh));
    const own = { dataDir: await dataDirectory() };
    const without = { ...config, defaults: { auth: "none" } as const };
    const { gateway, body } = await serve(without, own);
    expect([await body("/a"), await body("/a")]).toEqual(["1", "2"]);
    await gateway.change(config);
    expect([await body("/a"), await body("/a")]).toEqual(["3", "3"]);
    expect(await purge(own, { cache: "responses", purges: [{ prefix: "/a" }] })).toBe(true);
    expect(await body("/a")).toBe("4");
  });

  test("that cannot be served leaves the one before as it is", async () => {
    const config = configOf(await numbering(fresh));
    const own = { dataDir: await dataDirectory() };
    const { gateway, body } = await serve(config, own);
    expect(await body("/a")).toBe("1");
    const change = await gateway.change({ ...config, caches: { a: {} }, defaults: { cache: "b" } });
    expect(change.outcome).toBe("refused");
    expect(await body("/a")).toBe("1");
  });
});

describe("stored answers and the next process", () => {
  test("it begins with them", async () => {
    const config = configOf(await numbering(fresh));
    const own = { dataDir: await dataDirectory() };
    const first = await serve(config, own);
    expect(await first.body("/a")).toBe("1");
    await first.stop();
    const second = await serve(config, own);
    expect(await second.body("/a")).toBe("1");
  });

  test("it begins without those of a configuration that answers something else", async () => {
    const config = configOf(await numbering(fresh));
    const own = { dataDir: await dataDirectory() };
    const first = await serve(config, own);
    expect(await first.body("/a")).toBe("1");
    await first.stop();
    const response = { headers: { set: { "x-frame-options": "DENY" } } };
    const second = await serve({ ...config, defaults: { ...config.defaults, response } }, own);
    const answer = await second.ask("/a");
    expect([answer.body, answer.headers["x-frame-options"]]).toEqual(["2", "DENY"]);
  });

  test("it begins without what was purged while none ran", async () => {
    const config = configOf(await numbering(fresh));
    const own = { dataDir: await dataDirectory() };
    const first = await serve(config, own);
    expect([await first.body("/a"), await first.body("/b")]).toEqual(["1", "2"]);
    await first.stop();
    const request = { cache: everyCache, purges: [{ prefix: "/a" }] };
    expect(await purge(own, request, 0)).toBe(false);
    const second = await serve(config, own);
    expect([await second.body("/a"), await second.body("/b")]).toEqual(["3", "2"]);
  });
});

test("on PostgreSQL a purge is seen by every server", async () => {
  await using database = await createDatabase(postgresUrl());
  const own = { dataDir: await dataDirectory(), databaseUrl: database.url };
  const config = configOf(await numbering(fresh));
  const nodes = [await serve(config, own), await serve(config, own)] as const;
  const bodies = () => Promise.all(nodes.map(({ body }) => body("/a")));
  const before = await bodies();
  expect(await bodies()).toEqual(before);
  expect(await purge(own, { cache: everyCache, purges: [{ tag: "prices" }] })).toBe(true);
  await eventually("both ask again", async () => {
    const now = await bodies();
    return now.every((body, node) => body !== before[node]);
  });
  for (const { stop } of nodes) await stop();
});
