import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
} from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";

import { DeclaredFields } from "../../src/gateway/declared-fields.ts";
import { defineProxy, upstream, type ProxyOptions } from "../../src/gateway/index.ts";
import { counting, startCached } from "./cache/cache-harness.ts";
import { startGateway, type GatewayHarness } from "./gateway-harness.ts";

let behind: Server;
let endpoint: string;
let seen: IncomingMessage[] = [];
let answer: { readonly status: number; readonly headers: OutgoingHttpHeaders };
const gateways: { stop(): Promise<unknown> }[] = [];

beforeAll(async () => {
  behind = createServer((request, response) => {
    seen.push(request);
    response.writeHead(answer.status, answer.headers).end('{"id":"a"}');
  }).listen(0, "127.0.0.1");
  await once(behind, "listening");
  endpoint = `http://127.0.0.1:${(behind.address() as AddressInfo).port}`;
});
beforeEach(() => {
  seen = [];
  answer = { status: 200, headers: { "content-type": "application/json", server: "old/1.2" } };
});
afterAll(async () => {
  for (const gateway of gateways) await gateway.stop();
  behind.closeAllConnections();
  behind.close();
});

async function gateway(proxy: Partial<ProxyOptions>): Promise<GatewayHarness> {
  const started = await startGateway([endpoint], { proxy });
  gateways.push(started);
  return started;
}

describe("fields that a route declares of its requests", () => {
  test("are what the upstream gets, whatever the client sent under these names", async () => {
    const { url } = await gateway({
      request: { headers: { set: { "X-Tier": "gold" }, remove: ["Cookie", "x-debug"] } },
    });
    await fetch(url, {
      headers: { "x-tier": "mine", cookie: "a=1", "x-debug": "1", "x-own": "2" },
    });
    const headers = seen[0]?.headers ?? {};
    expect(headers).toMatchObject({ "x-tier": "gold", "x-own": "2" });
    expect([headers.cookie, headers["x-debug"]]).toEqual([undefined, undefined]);
    expect(headers["x-request-id"]).toMatch(/^req_/);
  });

  test("are seen by the hook of the route, which has the last word", async () => {
    let shown: string | undefined;
    const { url } = await gateway({
      request: { headers: { set: { "x-a": "declared", "x-b": "declared" } } },
      transformRequest: ({ headers }) => {
        shown = headers["x-a"];
        return { set: { "x-b": "hook" } };
      },
    });
    await fetch(url);
    expect(shown).toBe("declared");
    expect(seen[0]?.headers).toMatchObject({ "x-a": "declared", "x-b": "hook" });
  });

  test("do not keep a route from looking into answers", async () => {
    const { url } = await gateway({
      replies: { 200: z.object({ id: z.string() }) },
      request: { headers: { set: { "accept-encoding": "gzip" } } },
    });
    expect(await (await fetch(url)).json()).toEqual({ id: "a" });
    expect(seen[0]?.headers["accept-encoding"]).toBe("identity");
  });
});

describe("fields that a route declares of its answers", () => {
  const response = {
    headers: { set: { "X-Frame-Options": "DENY" }, remove: ["Server"] },
  } as const;

  test.each([200, 404, 500])("are on an answer of status %i", async (status) => {
    const { url } = await gateway({ response });
    answer = { status, headers: { ...answer.headers, "x-frame-options": "SAMEORIGIN" } };
    const got = await fetch(url);
    expect([got.status, got.headers.get("x-frame-options")]).toEqual([status, "DENY"]);
    expect(got.headers.get("server")).toBeNull();
    expect(await got.json()).toEqual({ id: "a" });
  });

  test("are on an answer whose fields are shown by a schema", async () => {
    const { url } = await gateway({ response, replies: { 200: z.object({}) } });
    const got = await fetch(url);
    expect(got.headers.get("x-frame-options")).toBe("DENY");
    expect(await got.json()).toEqual({});
  });

  test("are no part of the gateway's own errors", async () => {
    const { url } = await gateway({ response, sanitizeErrors: true });
    answer = { status: 500, headers: {} };
    const got = await fetch(url);
    expect([got.status, got.headers.get("x-frame-options")]).toEqual([502, null]);
  });

  test("say what a cache may do with an answer that says nothing itself", async () => {
    const cached = await startCached(counting({}), {
      proxy: {
        response: {
          headers: {
            set: {
              "cache-control": "max-age=60, stale-while-revalidate=30",
              "cache-tag": "prices",
            },
          },
        },
      },
    });
    gateways.push(cached);
    expect(await (await cached.get("/a")).text()).toBe("1");
    const again = await cached.get("/a");
    expect(await again.text()).toBe("1");
    expect(again.headers.get("cache-control")).toBe("max-age=60, stale-while-revalidate=30");
    expect(again.headers.get("cache-tag")).toBeNull();
    expect(cached.cache.usable.map(({ tags }) => tags)).toEqual([["prices"]]);
    cached.cacheClock.advance(61_000);
    expect(await (await cached.get("/a")).text()).toBe("1");
  });
});

test("what is declared of answers counts for an upstream that says that a stored one still holds, too", async () => {
  let asked = 0;
  const cached = await startCached(
    (request, response) => {
      asked += 1;
      const holds = request.headers["if-none-match"] === '"1"';
      response.writeHead(holds ? 304 : 200, { etag: '"1"', "cache-control": "no-store" });
      response.end(holds ? undefined : "body");
    },
    { proxy: { response: { headers: { set: { "cache-control": "max-age=60" } } } } },
  );
  gateways.push(cached);
  const bodies = [];
  for (const passedMs of [0, 61_000, 30_000]) {
    cached.cacheClock.advance(passedMs);
    bodies.push(await (await cached.get("/a")).text());
  }
  expect([bodies, asked]).toEqual([["body", "body", "body"], 2]);
});

describe("a cookie that the upstream never gets", () => {
  const request = { headers: { remove: ["Cookie"] } };
  const bodiesOf = async (proxy: Partial<ProxyOptions>): Promise<readonly string[]> => {
    const cached = await startCached(counting({ "cache-control": "max-age=60" }), { proxy });
    gateways.push(cached);
    const bodies = [];
    for (const cookie of ["a=1", "a=2"]) {
      bodies.push(await (await cached.get("/a", { cookie })).text());
    }
    return bodies;
  };

  test("keeps no answer out of the cache", async () => {
    expect(await bodiesOf({ request })).toEqual(["1", "1"]);
  });

  test("does where a hook may hand on what it says", async () => {
    expect(await bodiesOf({ request, transformRequest: () => undefined })).toEqual(["1", "2"]);
  });

  test("does where it is passed on", async () => {
    expect(await bodiesOf({})).toEqual(["1", "2"]);
  });
});

describe("what a route cannot declare", () => {
  const declare = (options: Partial<ProxyOptions>) => () =>
    defineProxy({
      path: "/a",
      upstream: upstream({ name: "a", endpoints: [endpoint] }),
      ...options,
    });

  test.each([
    ["Connection", "belongs to the connection"],
    ["content-length", "frames the body"],
    ["Transfer-Encoding", "frames the body"],
    ["Host", "preserveHost"],
    ["X-Forwarded-For", "who the client is"],
    ["Client-Cert", "who the client is"],
    ["x-request-id", "by the gateway itself"],
    ["traceparent", "by the gateway itself"],
    ["Idempotency-Key", "may be repeated"],
  ])("of a request: %s", (name, reason) => {
    expect(declare({ request: { headers: { set: { [name]: "x" } } } })).toThrow(reason);
    expect(declare({ request: { headers: { remove: [name] } } })).toThrow(reason);
  });

  test.each(["trailer", "Via", "X-Request-Id", "proxy-status", "cache-status"])(
    "of an answer: %s",
    (name) => {
      expect(declare({ response: { headers: { set: { [name]: "x" } } } })).toThrow(TypeError);
      expect(declare({ response: { headers: { remove: [name] } } })).toThrow(TypeError);
    },
  );

  test.each(["two\r\nx: lines", "\u0000", "\u{1f600}"])("a text that is no field: %j", (value) => {
    expect(declare({ request: { headers: { set: { "x-a": value } } } })).toThrow(TypeError);
  });

  test("a name that is none", () => {
    expect(declare({ response: { headers: { remove: ["x y"] } } })).toThrow(TypeError);
  });
});

test("what is named is gone or set once, and all else stays in its order", () => {
  const name = fc.constantFrom("x-a", "X-A", "x-b", "X-B", "x-c", "Set-Cookie");
  const field = fc.tuple(name, fc.constantFrom("1", "2"));
  const changes = fc.record({
    set: fc.dictionary(name, fc.constant("set")),
    remove: fc.array(name),
  });
  fc.assert(
    fc.property(fc.array(field), changes, (fields, { set, remove }) => {
      const applied = new DeclaredFields("response", { set, remove }).applied(fields.flat());
      const named = new Set([...Object.keys(set), ...remove].map((each) => each.toLowerCase()));
      const kept = fields.filter(([each]) => !named.has(each.toLowerCase()));
      const added = Object.entries(set).map(([each, value]) => [each.toLowerCase(), value]);
      expect(applied).toEqual([...kept, ...added].flat());
    }),
  );
});
