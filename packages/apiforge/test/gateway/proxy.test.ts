import { createServer, type IncomingMessage, type Server } from "node:http";
import { once } from "node:events";
import { connect, type AddressInfo } from "node:net";
import { until } from "@apiforge/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { startGateway, startRawUpstream, type GatewayHarness } from "./gateway-harness.ts";

interface Echo {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

let behind: Server;
let endpoint: string;
let gateway: GatewayHarness;
const closed: string[] = [];

beforeAll(async () => {
  behind = createServer((request, response) => {
    response.on("close", () => {
      if (!response.writableFinished) closed.push(request.url ?? "");
    });
    if (request.url === "/hold") return void response.writeHead(200).write("first");
    if (request.url === "/events") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      return response.flushHeaders();
    }
    if (request.url === "/trailer") {
      response.writeHead(200, { trailer: "Digest" });
      response.write("a");
      response.addTrailers({ Digest: "x" });
      return void response.end();
    }
    if (request.url === "/hints") {
      response.writeEarlyHints({ link: "</style.css>; rel=preload" });
      return void response.end("late");
    }
    if (request.url === "/twice") {
      response.writeHead(200, ["Set-Cookie", "a=1", "Set-Cookie", "b=2", "X-Request-Id", "theirs"]);
      return void response.end();
    }
    void echo(request).then(
      (text) => response.end(text),
      () => response.destroy(),
    );
  }).listen(0, "127.0.0.1");
  await once(behind, "listening");
  endpoint = `http://127.0.0.1:${(behind.address() as AddressInfo).port}`;
  gateway = await startGateway([endpoint]);
});
afterAll(async () => {
  await gateway.stop();
  behind.closeAllConnections();
  behind.close();
});

async function echo(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const piece of request) body += String(piece);
  const { method, url, rawHeaders } = request;
  return JSON.stringify({ method, url, rawHeaders, body });
}

async function echoed(answer: Response): Promise<Echo> {
  expect(answer.status).toBe(200);
  return (await answer.json()) as Echo;
}

function valuesOf({ rawHeaders }: Echo, name: string): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1] === name);
}

test("a request reaches its upstream as it is, and the answer its caller", async () => {
  const answer = await fetch(`${gateway.url}/a/b?c=%20d`, {
    method: "PUT",
    body: "text",
    headers: { "x-own": "kept" },
  });
  const at = await echoed(answer);
  expect(at).toMatchObject({ method: "PUT", url: "/a/b?c=%20d", body: "text" });
  expect(valuesOf(at, "x-own")).toEqual(["kept"]);
  expect(valuesOf(at, "x-request-id")).toEqual([answer.headers.get("x-request-id")]);
  expect(answer.headers.get("via")).toMatch(/^1\.1 apiforge-[0-9a-f]{8}$/);
  expect(valuesOf(at, "via")).toEqual([answer.headers.get("via")]);
});

test("hop-by-hop fields end here, and what Connection names cannot take away what the gateway adds", async () => {
  const seen = await gateway.ask(
    "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close, X-Secret, X-Request-Id, Via, Forwarded\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: x\r\nX_Under: 1\r\nX-Forwarded-For: 6.6.6.6\r\nClient-Cert: :a:\r\n\r\n",
  );
  const at = JSON.parse(seen.body) as Echo;
  const names = at.rawHeaders.filter((_, index) => index % 2 === 0);
  expect(names).not.toContain("x-secret");
  expect(names).not.toContain("keep-alive");
  expect(names).not.toContain("proxy-authorization");
  expect(names).not.toContain("x_under");
  expect(names).not.toContain("client-cert");
  expect(valuesOf(at, "x-forwarded-for")).toEqual(["127.0.0.1"]);
  expect(valuesOf(at, "x-forwarded-host")).toEqual(["a"]);
  expect(valuesOf(at, "forwarded")[0]).toMatch(
    /^for=127\.0\.0\.1;host="a";proto=http;by=_apiforge-/,
  );
  expect(names).toEqual(expect.arrayContaining(["via", "x-request-id", "te"]));
});

test("what a trusted peer says of the client is passed on", async () => {
  const trusting = await startGateway([endpoint], { proxy: { trustedPeers: ["127.0.0.0/8"] } });
  const at = await echoed(
    await fetch(trusting.url, {
      headers: {
        "x-forwarded-for": "192.0.2.1",
        "x-forwarded-proto": "https",
        forwarded: "for=192.0.2.1",
      },
    }),
  );
  expect(valuesOf(at, "x-forwarded-for")).toEqual(["192.0.2.1, 127.0.0.1"]);
  expect(valuesOf(at, "x-forwarded-proto")).toEqual(["https"]);
  expect(valuesOf(at, "forwarded")[0]).toMatch(/^for=192\.0\.2\.1, for=127\.0\.0\.1;/);
  await trusting.stop();
});

test("nobody gets past what the stages decided by a field that overrides method, path or address, or says that a request is a copy", async () => {
  const claimed = {
    "x-http-method-override": "DELETE",
    "x-http-method": "DELETE",
    "x-method-override": "DELETE",
    "x-original-url": "/admin",
    "x-rewrite-url": "/admin",
    "x-host": "evil.example",
    "x-original-host": "evil.example",
    "true-client-ip": "6.6.6.6",
    "x-client-ip": "6.6.6.6",
    "x-cluster-client-ip": "6.6.6.6",
    "cf-connecting-ip": "6.6.6.6",
    "fastly-client-ip": "6.6.6.6",
    "x-shadow-request": "true",
  };
  const names = Object.keys(claimed);
  const at = await echoed(await fetch(gateway.url, { headers: claimed }));
  expect(at.rawHeaders.filter((name) => names.includes(name))).toEqual([]);
  const trusting = await startGateway([endpoint], { proxy: { trustedPeers: ["127.0.0.0/8"] } });
  const there = await echoed(await fetch(trusting.url, { headers: claimed }));
  expect(there.rawHeaders.filter((name) => names.includes(name)).toSorted()).toEqual(
    names.toSorted(),
  );
  await trusting.stop();
});

test("of a field that comes twice where one belongs, the upstream gets the one that the stages saw", async () => {
  const body = JSON.stringify({ name: "a&admin=true&b" });
  const typed = await startGateway([endpoint], {
    proxy: { methods: ["POST"], body: z.object({ name: z.string() }) },
  });
  for (const { ask } of [gateway, typed]) {
    const seen = await ask(
      `POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${body.length}\r\nContent-Type: application/json\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: Basic b25l\r\nAuthorization: Basic dHdv\r\nUser-Agent: one\r\nUser-Agent: two\r\nAccept: text/a\r\nAccept: text/b\r\n\r\n${body}`,
    );
    const at = JSON.parse(seen.body) as Echo;
    expect(valuesOf(at, "content-type")).toEqual(["application/json"]);
    expect(valuesOf(at, "authorization")).toEqual(["Basic b25l"]);
    expect(valuesOf(at, "user-agent")).toEqual(["one"]);
    expect(valuesOf(at, "accept")).toEqual(["text/a", "text/b"]);
  }
  await typed.stop();
});

test("a large body streams both ways at the pace of the slower side", async () => {
  const text = "x".repeat(900_000);
  expect((await echoed(await fetch(gateway.url, { method: "POST", body: text }))).body).toBe(text);
});

test("a body above the route's limit is refused, announced or not", async () => {
  const announced = await fetch(gateway.url, { method: "POST", body: "x".repeat(1_048_577) });
  expect(announced.status).toBe(413);
  const chunked = await gateway.ask(
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n${"x".repeat(0x200000)}\r\n0\r\n\r\n`,
  );
  expect(chunked.status).toBe(413);
});

test("an answer that was cut short is none to take for whole", async () => {
  const upstream = await startRawUpstream((socket) => {
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  });
  const cut = await startGateway([upstream.url]);
  const seen = await cut.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  expect(seen).toMatchObject({ status: 200, isWhole: false });
  await cut.stop();
  await upstream.close();
});

test("a client that goes takes its request at the upstream with it", async () => {
  const controller = new AbortController();
  const answer = await fetch(`${gateway.url}/hold`, { signal: controller.signal });
  expect(answer.status).toBe(200);
  controller.abort();
  await until("the upstream sees it", () => closed.includes("/hold"));
});

test("the head of an event stream leaves before its first event", async () => {
  const controller = new AbortController();
  const answer = await fetch(`${gateway.url}/events`, { signal: controller.signal });
  expect(answer.headers.get("content-type")).toBe("text/event-stream");
  controller.abort();
});

test("trailers and interim answers are passed on", async () => {
  const trailer = await gateway.ask(
    "GET /trailer HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n",
  );
  expect(trailer.body).toMatch(/\r\n0\r\nDigest: x\r\n\r\n$/);
  const hints = await gateway.ask("GET /hints HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  expect(hints.head).toMatch(/^HTTP\/1\.1 103 .*\r\nlink: <\/style\.css>; rel=preload/is);
  expect(hints.body).toMatch(/^HTTP\/1\.1 200 OK/);
});

test("fields that come twice stay two, and the request's id stays ours", async () => {
  const answer = await fetch(`${gateway.url}/twice`);
  expect(answer.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  expect(answer.headers.get("x-request-id")).toMatch(/^req_/);
});

test("a gateway whose upstream is itself refuses what has come back", async () => {
  const looping = await startGateway([gateway.url]);
  const answer = await fetch(looping.url);
  expect(answer.status).toBe(508);
  expect(answer.headers.get("proxy-status")).toMatch(/; error=proxy_loop_detected$/);
  await looping.stop();
});

test("a proxied route passes the stages of every route", async () => {
  const guarded = await startGateway([endpoint], {
    proxy: {
      path: "/orders/*",
      auth: "jwt",
      stripPrefix: "/orders",
      cors: { origins: ["https://shop.example.com"] },
      limits: [{ name: "orders", limit: 2, per: "1m" }],
    },
    edge: { accessLog: {} },
  });
  const refused = await fetch(`${guarded.url}/orders/1`, {
    headers: { origin: "https://shop.example.com" },
  });
  expect(refused.status).toBe(401);
  const headers = { authorization: await guarded.bearer(), origin: "https://shop.example.com" };
  const answer = await fetch(`${guarded.url}/orders/1`, { headers });
  expect(await echoed(answer)).toMatchObject({ url: "/1" });
  expect(answer.headers.get("access-control-allow-origin")).toBe("https://shop.example.com");
  expect(answer.headers.get("ratelimit")).toMatch(/r=1/);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  await fetch(`${guarded.url}/orders/1`, { headers });
  expect((await fetch(`${guarded.url}/orders/1`, { headers })).status).toBe(429);
  await until("the answer is logged", () =>
    guarded.lines.some(({ fields }) => fields["status"] === 200 && fields["tenant"] === "ten_1"),
  );
  await guarded.stop();
});

test("the upstream gets of a checked body what was checked", async () => {
  const checked = await startGateway([endpoint], {
    proxy: { body: z.object({ id: z.number() }), unknownFields: "remove", methods: ["POST"] },
  });
  const json = { method: "POST", headers: { "content-type": "application/json" } };
  const at = await echoed(await fetch(checked.url, { ...json, body: '{"id": 1, "admin": true}' }));
  expect(at.body).toBe('{"id":1}');
  expect((await fetch(checked.url, { ...json, body: '{"id":"1"}' })).status).toBe(400);
  await checked.stop();
});

test("a client that goes before its answer is logged as gone", async () => {
  const silent = await startRawUpstream(() => undefined);
  const logged = await startGateway([silent.url], { edge: { accessLog: {} } });
  const socket = connect(logged.port, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await until("the upstream has it", () => silent.received.length === 1);
  socket.destroy();
  await until("it is logged", () => logged.lines.some(({ fields }) => fields["status"] === 499));
  await until("the upstream is told", () => silent.sockets.size === 0);
  expect(silent.received).toHaveLength(1);
  await logged.stop();
  await silent.close();
});
