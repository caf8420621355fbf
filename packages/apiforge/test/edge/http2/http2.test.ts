import { once } from "node:events";
import type { ClientHttp2Session, SecureClientSessionOptions } from "node:http2";
import type { TLSSocket } from "node:tls";
import { turns, until } from "@apiforge/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute, eventStreamReply, ndjsonReply } from "../../../src/edge/index.ts";
import { callHttps } from "../certificates/https-call.ts";
import { thingRoutes } from "../thing-routes.ts";
import { callHttp2, connectHttp2 } from "./http2-client.ts";
import { startTls, type TlsHarness } from "./http2-harness.ts";
import { breaksOff, waitForEnd } from "../ending-streams.ts";

const line = z.object({ n: z.number(), text: z.string() });
const seen = { ended: 0 };
const uploads: string[] = [];

async function* lines(count: number) {
  for (let n = 0; n < count; n++) yield { n, text: "x".repeat(1_000) };
}

const seenHeaders = z.object({ cookie: z.string(), host: z.string(), version: z.string() });
const common = { method: "GET", auth: "none", transaction: "none" } as const;
const routes = [
  ...thingRoutes,
  defineRoute({
    ...common,
    path: "/lines",
    replies: { 200: ndjsonReply(line) },
    handler: () => ({ status: 200, stream: lines(300) }),
  }),
  defineRoute({
    ...common,
    path: "/broken",
    replies: { 200: ndjsonReply(line) },
    handler: () => ({ status: 200, stream: breaksOff() }),
  }),
  defineRoute({
    ...common,
    path: "/events",
    replies: { 200: eventStreamReply(line) },
    handler: ({ request }) => ({ status: 200, stream: waitForEnd(request.signal, seen) }),
  }),
  defineRoute({
    ...common,
    path: "/headers",
    headers: z.object({ cookie: z.string().default(""), host: z.string() }),
    replies: { 200: seenHeaders },
    handler: ({ headers }) => ({ status: 200, body: { ...headers, version: "2" } }),
  }),
  defineRoute({
    ...common,
    method: "POST",
    path: "/upload",
    body: "bytes",
    replies: { 200: z.object({}) },
    handler: ({ body }) => {
      uploads.push(body.toString());
      return { status: 200, body: {} };
    },
  }),
  defineRoute({
    ...common,
    path: "/who",
    auth: "certificate",
    replies: { 200: z.object({ certificate: z.string() }) },
    handler: ({ principal }) => ({
      status: 200,
      body: { certificate: principal.certificate ?? "" },
    }),
  }),
];

let served: TlsHarness;
let session: ClientHttp2Session;

beforeAll(async () => {
  served = await startTls(routes, { cors: { origins: ["https://app.test"] } });
  session = await connectHttp2(served.port, { ca: served.root.cert });
});
afterAll(async () => {
  session.destroy();
  await served.stop();
});

const code = ({ body }: { readonly body: string }): string =>
  (JSON.parse(body) as { error: { code: string } }).error.code;

function connectAs(options: SecureClientSessionOptions): Promise<ClientHttp2Session> {
  return connectHttp2(served.port, { ca: served.root.cert, ...options });
}

test("a route answers over HTTP/2 as over HTTP/1.1, on the same port", async () => {
  const authorization = await served.bearer();
  const headers = { "content-type": "application/json", "idempotency-key": "h2" };
  const created = await callHttp2(
    session,
    { ...headers, ":method": "POST", ":path": "/things", authorization },
    '{"name":"a"}',
  );
  expect(created).toMatchObject({
    headers: { ":status": 201, "content-type": "application/json; charset=utf-8" },
    body: '{"id":"thing_a","name":"a"}',
    resetCode: 0,
  });
  const call = { ca: served.root.cert, headers: { ...headers, authorization }, method: "POST" };
  const again = await callHttps(served.port, "/things", { ...call, body: '{"name":"a"}' });
  expect(again.socket.alpnProtocol).not.toBe("h2");
  expect([again.status, again.body]).toEqual([201, { id: "thing_a", name: "a" }]);
});

test("an unknown path, a missing token and a preflight are answered by the stages", async () => {
  const unknown = await callHttp2(session, { ":path": "/nowhere", origin: "https://app.test" });
  expect([unknown.headers[":status"], code(unknown)]).toEqual([404, "route_not_found"]);
  expect(unknown.headers["access-control-allow-origin"]).toBe("https://app.test");
  expect(unknown.headers["x-request-id"]).toMatch(/^req_/);
  const anonymous = await callHttp2(session, { ":path": "/things" });
  expect([anonymous.headers[":status"], code(anonymous)]).toEqual([401, "missing_token"]);
  const preflight = await callHttp2(session, {
    ":method": "OPTIONS",
    ":path": "/things",
    origin: "https://app.test",
    "access-control-request-method": "POST",
  });
  expect(preflight.headers[":status"]).toBe(204);
});

test("a HEAD has the head and nothing else", async () => {
  const head = await callHttp2(session, { ":method": "HEAD", ":path": "/health/live" });
  expect([head.headers[":status"], head.body, head.resetCode]).toEqual([200, "", 0]);
});

test("what a handler streams arrives whole, and a stream that breaks off does not end well", async () => {
  const whole = await callHttp2(session, { ":path": "/lines" });
  expect(whole.body.split("\n")).toHaveLength(301);
  expect(whole.resetCode).toBe(0);
  const broken = await callHttp2(session, { ":path": "/broken" });
  expect(broken.headers[":status"]).toBe(200);
  expect(broken.resetCode).not.toBe(0);
});

test("a client that resets its stream ends what made it, and its connection goes on", async () => {
  const before = seen.ended;
  const stream = session.request({ ":path": "/events" });
  stream.on("error", () => undefined);
  await once(stream, "data");
  stream.close();
  await until("the stream has ended", () => seen.ended === before + 1);
  expect((await callHttp2(session, { ":path": "/health/live" })).headers[":status"]).toBe(200);
});

test("cookies are one field, and the authority is the host", async () => {
  const { body } = await callHttp2(session, { ":path": "/headers", cookie: ["a=1", "b=2"] });
  const host = `127.0.0.1:${served.port}`;
  expect(JSON.parse(body)).toEqual({ cookie: "a=1; b=2", host, version: "2" });
});

test("a Host that is not the authority, and an ambiguous path, are refused", async () => {
  const two = await callHttp2(session, {
    ":path": "/health/live",
    ":authority": "here",
    host: "elsewhere",
  });
  expect([two.headers[":status"], code(two)]).toEqual([400, "malformed_request"]);
  const ambiguous = await callHttp2(session, { ":path": "/a//b" });
  expect([ambiguous.headers[":status"], code(ambiguous)]).toEqual([400, "invalid_url"]);
});

test("CONNECT and expectations that nobody meets get the one error envelope", async () => {
  const tunnel = await callHttp2(session, { ":method": "CONNECT", ":authority": "a:443" }, []);
  expect([tunnel.headers[":status"], code(tunnel)]).toEqual([405, "method_not_allowed"]);
  const expecting = await callHttp2(session, { ":path": "/health/live", expect: "101-foo" });
  expect([expecting.headers[":status"], code(expecting)]).toEqual([417, "expectation_failed"]);
});

test("a body that does not arrive in time is refused, and its connection goes on", async () => {
  await using waiting = await startTls(routes);
  const own = await connectHttp2(waiting.port, { ca: waiting.root.cert });
  const headers = { "content-type": "application/json", authorization: await waiting.bearer() };
  const timers = waiting.clock.pending;
  const stream = own.request(
    { ...headers, ":method": "POST", ":path": "/things" },
    { endStream: false },
  );
  stream.write("{");
  await until("its body is waited for", () => waiting.clock.pending > timers);
  const answered = once(stream, "response");
  waiting.clock.advance(30_000);
  const [head] = (await answered) as [{ ":status": number }];
  expect(head[":status"]).toBe(408);
  stream.resume();
  await once(stream, "close");
  expect((await callHttp2(own, { ":path": "/health/live" })).headers[":status"]).toBe(200);
});

test("a body that is refused before its end is not waited for", async () => {
  const pieces = Array.from({ length: 40 }, () => Buffer.alloc(65_536, "x"));
  const headers = { ":method": "POST", ":path": "/things", "content-type": "application/json" };
  const authorization = await served.bearer();
  const answer = await callHttp2(session, { ...headers, authorization }, pieces);
  expect([answer.headers[":status"], code(answer)]).toEqual([413, "body_too_large"]);
  expect(answer.resetCode).toBe(0);
});

test("a body is not taken for whole when its client loses the connection", async () => {
  const own = await connectAs({});
  const before = uploads.length;
  const headers = { ":method": "POST", ":path": "/upload", "content-type": "text/plain" };
  const whole = await callHttp2(own, headers, [Buffer.from("whole")]);
  expect(whole.headers[":status"]).toBe(200);
  const stream = own.request(headers, { endStream: false });
  stream.on("error", () => undefined);
  stream.write("half");
  await callHttp2(own, { ":path": "/health/live" });
  own.destroy();
  const after = await connectAs({});
  await callHttp2(after, { ":path": "/health/live" });
  await turns(50);
  expect(uploads.slice(before)).toEqual(["whole"]);
  after.destroy();
});

test("a client certificate counts over HTTP/2, and one that is revoked does so no more on an open connection", async () => {
  const client = await served.root.issue("client");
  const own = await connectAs({ cert: client.cert, key: client.key });
  const first = await callHttp2(own, { ":path": "/who" });
  expect(first.headers[":status"]).toBe(200);
  expect(code(await callHttp2(session, { ":path": "/who" }))).toBe("missing_certificate");
  served.certificates.renew({ ca: served.root.cert, crl: await served.root.revoke([client.x509]) });
  expect(code(await callHttp2(own, { ":path": "/who" }))).toBe("invalid_certificate");
  own.destroy();
});

test("a new server certificate serves new connections, and the open one goes on", async () => {
  const renewed = await served.root.issue("renewed", { usage: "server" });
  served.edge.renewTls({ key: renewed.key, cert: renewed.cert });
  expect((await callHttp2(session, { ":path": "/health/live" })).headers[":status"]).toBe(200);
  const fresh = await connectAs({});
  const { fingerprint256 } = (fresh.socket as TLSSocket).getPeerX509Certificate() ?? {};
  expect(fingerprint256).toBe(renewed.x509.fingerprint256);
  expect((await callHttp2(fresh, { ":path": "/health/live" })).headers[":status"]).toBe(200);
  fresh.destroy();
});

test("a server that stops answers what is under way, says goodbye, and is gone", async () => {
  const stopping = await startTls(routes);
  const own = await connectHttp2(stopping.port, { ca: stopping.root.cert });
  const idle = await connectHttp2(stopping.port, { ca: stopping.root.cert });
  const stream = own.request({ ":path": "/events" });
  await once(stream, "data");
  const goodbyes: number[] = [];
  for (const each of [own, idle]) each.on("goaway", (goaway: number) => goodbyes.push(goaway));
  let text = "";
  stream.on("data", (piece: Buffer) => (text += piece.toString()));
  await Promise.all([stopping.stop(), once(stream, "close"), once(idle, "close")]);
  expect([stream.rstCode, goodbyes.every((goaway) => goaway === 0)]).toEqual([0, true]);
  expect(goodbyes.length).toBeGreaterThanOrEqual(2);
});
