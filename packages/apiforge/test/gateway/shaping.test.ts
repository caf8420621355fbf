import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { until } from "@apiforge/testing";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";

import type { ProxyOptions, UpstreamOptions } from "../../src/gateway/index.ts";
import { startGateway, startRawUpstream, type GatewayHarness } from "./gateway-harness.ts";

const account = z.object({ id: z.string(), owner: z.object({ name: z.string() }).optional() });
const secret = "10.1.2.3 stack trace";

type Behave = (response: ServerResponse, request: IncomingMessage, body: string) => void;

let behind: Server;
let behave: Behave;
let seen: IncomingMessage[] = [];
let endpoint: string;
const gateways: GatewayHarness[] = [];

beforeAll(async () => {
  behind = createServer((request, response) => {
    seen.push(request);
    let body = "";
    request.on("data", (piece: Buffer) => (body += String(piece)));
    request.on("end", () => behave(response, request, body));
  }).listen(0, "127.0.0.1");
  await once(behind, "listening");
  endpoint = `http://127.0.0.1:${(behind.address() as AddressInfo).port}`;
});
afterAll(async () => {
  for (const gateway of gateways) await gateway.stop();
  behind.closeAllConnections();
  behind.close();
});

async function gateway(
  proxy: Partial<ProxyOptions>,
  upstreamOptions: Partial<UpstreamOptions> = {},
): Promise<GatewayHarness> {
  const started = await startGateway([endpoint], { proxy, upstreamOptions });
  gateways.push(started);
  seen = [];
  return started;
}

function json(value: unknown, status = 200, headers: Record<string, string> = {}): Behave {
  return (response) => {
    const body = JSON.stringify(value);
    response.writeHead(status, {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
      ...headers,
    });
    response.end(body);
  };
}

async function codeOf(answer: Response): Promise<readonly [number, string, string]> {
  const text = await answer.text();
  expect(text).not.toContain(secret);
  const { error } = JSON.parse(text) as { error: { code: string; type: string } };
  return [answer.status, error.code, error.type];
}

test("interim answers of a route that shapes its upstream's do not leave, since nothing has shaped them", async () => {
  const reply = json({ id: "1" });
  behave = (response, request, body) => {
    response.writeEarlyHints({ link: "</a>; rel=preload", "x-internal": secret }, () =>
      reply(response, request, body),
    );
  };
  for (const proxy of [
    { replies: { 200: account } },
    { transformResponse: () => ({ remove: ["x-internal"] }) },
  ]) {
    const { ask } = await gateway(proxy);
    const { head } = await ask("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(head).toMatch(/^HTTP\/1\.1 200 /);
    expect(head).not.toContain(secret);
  }
});

describe("an answer whose route declares its fields", () => {
  let declared: GatewayHarness;
  beforeAll(async () => {
    declared = await gateway({ replies: { 200: account, 201: account, 204: null } });
  });

  test("has those and no others, and nothing that described the bytes before", async () => {
    behave = json(
      { id: "a", internalAccountCode: 1, owner: { name: "Ada", legacySortCode: "x" } },
      200,
      {
        etag: '"strong"',
        "content-digest": "sha-256=:x:",
        "repr-digest": "sha-256=:x:",
        "accept-ranges": "bytes",
        "x-own": "kept",
        "set-cookie": "a=1",
      },
    );
    const answer = await fetch(declared.url);
    const text = await answer.text();
    expect(JSON.parse(text)).toEqual({ id: "a", owner: { name: "Ada" } });
    expect(answer.headers.get("content-length")).toBe(String(text.length));
    for (const name of ["etag", "content-digest", "repr-digest", "accept-ranges"]) {
      expect(answer.headers.get(name), name).toBeNull();
    }
    expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(answer.headers.get("x-own")).toBe("kept");
    expect(answer.headers.getSetCookie()).toEqual(["a=1"]);
    expect(answer.headers.get("via")).toMatch(/apiforge/);
  });

  test("keeps a weak tag, which says no more than that it means the same", async () => {
    behave = json({ id: "a" }, 200, { etag: 'W/"1"' });
    expect((await fetch(declared.url)).headers.get("etag")).toBe('W/"1"');
  });

  test("is asked for whole, and not encoded", async () => {
    behave = json({ id: "a" });
    const headers = { range: "bytes=0-1", "if-none-match": "*", "accept-encoding": "gzip, br" };
    expect((await fetch(declared.url, { headers })).status).toBe(200);
    const [request] = seen.splice(0);
    expect(request?.headers["accept-encoding"]).toBe("identity");
    expect(request?.headers.range ?? request?.headers["if-none-match"]).toBeUndefined();
  });

  test("is shown in part where the caller names fields", async () => {
    behave = json({ id: "a", owner: { name: "Ada" } });
    expect(await (await fetch(`${declared.url}?fields=owner.name`)).json()).toEqual({
      owner: { name: "Ada" },
    });
  });

  test("tells a HEAD the length that its GET has", async () => {
    behave = json({ id: "a", internalAccountCode: 1 });
    const answer = await fetch(declared.url, { method: "HEAD" });
    expect(answer.headers.get("content-length")).toBe(String('{"id":"a"}'.length));
    expect(seen.splice(0)[0]?.method).toBe("GET");
    // The connection is good for more.
    expect(await (await fetch(declared.url)).json()).toEqual({ id: "a" });
  });

  test("without a declared body has none", async () => {
    behave = (response) => response.writeHead(204).end();
    const answer = await fetch(declared.url, { method: "DELETE" });
    expect([answer.status, await answer.text()]).toEqual([204, ""]);
  });

  test.for([
    [
      "that is no JSON",
      (r: ServerResponse) => r.setHeader("content-type", "text/html").end(secret),
    ],
    [
      "that is broken",
      (r: ServerResponse) => r.setHeader("content-type", "application/json").end(`{"${secret}`),
    ],
    [
      "that is no UTF-8",
      (r: ServerResponse) =>
        r.setHeader("content-type", "application/json").end(Buffer.from('{"id":"\xff"}', "latin1")),
    ],
    [
      "that is encoded all the same",
      (r: ServerResponse) =>
        r
          .setHeader("content-type", "application/json")
          .setHeader("content-encoding", "gzip")
          .end("{}"),
    ],
    ["that misses a field", json({ secret })],
    ["of a status that is not declared", json({ id: "a", secret }, 202)],
    [
      "that leads somewhere else",
      (r: ServerResponse) =>
        r.writeHead(302, { location: `http://${secret.slice(0, 8)}/` }).end(secret),
    ],
  ] as const)("%s is 502, and nothing of it leaves", async ([, behaviour]) => {
    behave = behaviour;
    const answer = await fetch(declared.url, { method: "POST", redirect: "manual" });
    expect(answer.headers.get("location")).toBeNull();
    expect(answer.headers.get("proxy-status")).toMatch(/; received-status=\d+$/);
    expect(await codeOf(answer)).toEqual([502, "upstream_answer_invalid", "api_error"]);
  });

  test("is held up to its cap only, whether its length is told or not", async () => {
    const small = await gateway({ replies: { 200: account }, maxReplyBytes: 100 });
    const large = { id: "a".repeat(200) };
    for (const behaviour of [
      json(large),
      (response: ServerResponse) => {
        response.writeHead(200, { "content-type": "application/json" });
        response.write(JSON.stringify(large).slice(0, 150));
        response.end(JSON.stringify(large).slice(150));
      },
    ]) {
      behave = behaviour;
      expect((await codeOf(await fetch(small.url)))[1]).toBe("upstream_answer_invalid");
    }
    behave = json({ id: "a" });
    expect((await fetch(small.url)).status).toBe(200);
  });

  test("that breaks off is told by method: to be repeated, or unknown", async () => {
    behave = (response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
      response.write('{"id":');
      setImmediate(() => response.destroy());
    };
    expect(await codeOf(await fetch(declared.url))).toEqual([502, "upstream_failed", "api_error"]);
    const post = await fetch(declared.url, { method: "POST" });
    expect(await codeOf(post)).toEqual([502, "upstream_outcome_unknown", "api_error"]);
  });
});

describe("errors of an upstream", () => {
  const leak = { error: secret };

  test.for([
    [404, "GET", [404, "upstream_refused", "not_found_error"]],
    [422, "POST", [422, "upstream_refused", "invalid_request_error"]],
    [429, "POST", [429, "upstream_refused", "rate_limit_error"]],
    [401, "GET", [502, "upstream_failed", "api_error"]],
    [500, "GET", [502, "upstream_failed", "api_error"]],
    [500, "POST", [502, "upstream_outcome_unknown", "api_error"]],
    [503, "POST", [503, "upstream_overloaded", "api_error"]],
  ] as const)("of status %i to a %s are ours", async ([status, method, told]) => {
    const declared = await gateway({ replies: { 200: account } }, { retry: { attempts: 1 } });
    behave = json(leak, status, { server: secret.slice(0, 8), "retry-after": "7" });
    const answer = await fetch(declared.url, { method });
    expect(answer.headers.get("server")).toBeNull();
    expect(answer.headers.get("retry-after")).toBe(
      status === 429 || status === 503 || (status < 500 && status !== 401) ? "7" : null,
    );
    expect(await codeOf(answer)).toEqual(told);
  });

  test("are told once, though the body that nobody gets breaks off at once", async () => {
    const head =
      "HTTP/1.1 500 No\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
    const breaking = await startRawUpstream((socket) => void socket.end(`${head}${secret}`));
    const proxy = { replies: { 200: account } };
    const upstreamOptions = { retry: { attempts: 1 }, breaker: { failures: 1_000 } };
    const declared = await startGateway([breaking.url], { proxy, upstreamOptions });
    gateways.push(declared);
    const requests = 20;
    for (let request = 0; request < requests; request++) {
      expect(await codeOf(await fetch(declared.url))).toEqual([
        502,
        "upstream_failed",
        "api_error",
      ]);
    }
    await until("every attempt has ended", () => declared.behind.states[0]?.pending === 0);
    await breaking.close();
    const told = declared.lines.filter(({ level }) => level === "error" || level === "warn");
    expect(told.length).toBe(requests);
  });

  test("that are declared have the fields that are declared", async () => {
    const declared = await gateway({
      replies: { 200: account, 500: z.object({ reason: z.string() }) },
    });
    behave = json({ reason: "known", stack: secret }, 500);
    const answer = await fetch(declared.url);
    expect([answer.status, await answer.json()]).toEqual([500, { reason: "known" }]);
  });

  test("pass as they are where they are not to be sanitised", async () => {
    const open = await gateway({ replies: { 200: account }, sanitizeErrors: false });
    behave = json(leak, 500);
    expect(await (await fetch(open.url)).json()).toEqual(leak);
    const only5xx = await gateway({ sanitizeErrors: true });
    expect((await codeOf(await fetch(only5xx.url)))[0]).toBe(502);
    behave = json(leak, 404);
    expect(await (await fetch(only5xx.url)).json()).toEqual(leak);
  });
});

describe("hooks", () => {
  test("change the path, the fields and the body of a request", async () => {
    const changing = await gateway({
      body: z.object({ amount: z.number() }),
      transformRequest: ({ path, headers, body, request }) => ({
        path: `/v2${path}`,
        set: { "X-Correlation-Id": request.id, "x-was": headers["x-own"] ?? "none" },
        remove: ["X-Own"],
        body: { cents: (body as { amount: number }).amount * 100 },
      }),
    });
    behave = (response, { url, headers }, body) => {
      const given = [url, headers["x-was"], headers["x-own"], headers["x-correlation-id"], body];
      response.end(JSON.stringify(given.map((value) => value ?? null)));
    };
    const answer = await fetch(`${changing.url}/pay?a=1`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-own": "mine" },
      body: '{"amount":2}',
    });
    const id = answer.headers.get("x-request-id");
    expect(await answer.json()).toEqual(["/v2/pay?a=1", "mine", null, id, '{"cents":200}']);
  });

  test("change the fields of an answer, but not what stages put there", async () => {
    const changing = await gateway({
      transformResponse: ({ status, headers }) => ({
        set: {
          "x-status": String(status),
          "x-request-id": "theirs",
          "x-was": headers["x-own"] ?? "",
        },
        remove: ["server", "x-own"],
      }),
    });
    behave = (response) => response.writeHead(200, { server: "old", "x-own": "1" }).end("body");
    const answer = await fetch(changing.url);
    expect(answer.headers.get("server") ?? answer.headers.get("x-own")).toBeNull();
    expect(answer.headers.get("x-status")).toBe("200");
    expect(answer.headers.get("x-was")).toBe("1");
    expect(answer.headers.get("x-request-id")).not.toBe("theirs");
    expect(await answer.text()).toBe("body");
  });

  test("change the JSON of a success before its schema is applied, and nothing else", async () => {
    const changing = await gateway({
      transformReply: (body) => ({ ...(body as object), added: true }),
    });
    behave = json({ id: "a" }, 200, { etag: '"1"' });
    const answer = await fetch(changing.url);
    expect([await answer.json(), answer.headers.get("etag")]).toEqual([
      { id: "a", added: true },
      null,
    ]);
    behave = (response) => response.setHeader("content-type", "text/plain").end("text");
    expect(await (await fetch(changing.url)).text()).toBe("text");
    behave = json({ id: "a" }, 404);
    expect(await (await fetch(changing.url)).json()).toEqual({ id: "a" });
    const both = await gateway({
      replies: { 200: account },
      transformReply: (body) => ({ id: (body as { old: string }).old, added: true }),
    });
    behave = json({ old: "b" });
    expect(await (await fetch(both.url)).json()).toEqual({ id: "b" });
  });

  test.for([
    ["a framing field", { set: { "Content-Length": "1" } }],
    ["a field with a line break", { set: { "x-a": "1\r\nx-b: 2" } }],
    ["a path that is none", { path: "//\r\n" }],
    ["a body without a schema", { body: {} }],
  ] as const)("cannot send %s", async ([, changes]) => {
    const broken = await gateway({ transformRequest: () => changes });
    behave = () => expect.unreachable("nothing is sent");
    expect((await fetch(broken.url, { method: "POST" })).status).toBe(500);
    expect(seen).toEqual([]);
  });

  test("that throw are answered for", async () => {
    const broken = await gateway({
      transformResponse: () => {
        throw new Error(secret);
      },
    });
    behave = json({});
    const answer = await fetch(broken.url);
    expect((await codeOf(answer))[0]).toBe(500);
  });
});

test("whatever an upstream answers, no field leaves that is not declared", async () => {
  const declared = await gateway({
    replies: {
      200: z.object({ a: z.json().optional(), b: z.object({ c: z.number() }).optional() }),
    },
  });
  const value = fc.dictionary(
    fc.constantFrom("a", "b", "c", "secret"),
    fc.jsonValue({ maxDepth: 3 }),
  );
  await fc.assert(
    fc.asyncProperty(value, async (sent) => {
      behave = json(sent);
      const answer = await fetch(declared.url);
      if (answer.status === 502) return void (await answer.text());
      const got = (await answer.json()) as Record<string, unknown>;
      expect(Object.keys(got).every((name) => name === "a" || name === "b")).toBe(true);
      expect(Object.keys(Object(got["b"])).every((name) => name === "c")).toBe(true);
      expect(got["a"]).toEqual(
        sent["a"] === undefined ? undefined : JSON.parse(JSON.stringify(sent["a"])),
      );
    }),
    { numRuns: 100 },
  );
});

test("a client that goes while its answer is held takes the request along", async () => {
  const raw = await startRawUpstream((socket) => {
    socket.write(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    );
  });
  const held = await startGateway([raw.url], { proxy: { replies: { 200: account } } });
  const abort = new AbortController();
  const asked = fetch(held.url, { signal: abort.signal });
  await until("the request has come", () => raw.received.length > 0);
  abort.abort();
  await expect(asked).rejects.toThrow("aborted");
  await until("its connection is closed", () => raw.sockets.size === 0);
  expect(held.behind.states[0]?.pending).toBe(0);
  await held.stop();
  await raw.close();
});
