import { afterAll, beforeAll, expect, test } from "vitest";
import type { ClientHttp2Session } from "node:http2";
import { z } from "zod";

import { Authority } from "@apiforge/testing/certificates";
import { callHttp2, connectHttp2 } from "../edge/http2/http2-client.ts";
import {
  startGateway,
  startRawUpstream,
  type GatewayHarness,
  type RawUpstream,
} from "./gateway-harness.ts";

let behind: RawUpstream;
let gateway: GatewayHarness;
let session: ClientHttp2Session;
let requests = 0;

const body = '{"id":1,"secret":2}';

beforeAll(async () => {
  behind = await startRawUpstream((socket) => {
    requests += 1;
    const fields = "Content-Type: application/json\r\nKeep-Alive: timeout=9\r\nX-Own: 1\r\n";
    socket.write(`HTTP/1.1 200 OK\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`);
  });
  const root = await Authority.create("Root");
  const { key, cert } = await root.issue("server", { usage: "server" });
  gateway = await startGateway([behind.url], {
    proxy: { auth: "jwt", idempotency: "optional", replies: { 200: z.object({ id: z.number() }) } },
    edge: { tls: { key, cert } },
  });
  session = await connectHttp2(gateway.port, { ca: root.cert });
});
afterAll(async () => {
  session.destroy();
  await gateway.stop();
  await behind.close();
});

test("an answer that is shaped leaves by HTTP/2 as by HTTP/1.1", async () => {
  const authorization = await gateway.bearer();
  for (const method of ["GET", "HEAD"]) {
    const answer = await callHttp2(session, { ":method": method, ":path": "/", authorization });
    expect(answer.headers).toMatchObject({ ":status": 200, "content-length": "8", "x-own": "1" });
    expect(answer.body).toBe(method === "HEAD" ? "" : '{"id":1}');
  }
});

test("a recorded answer is repeated by HTTP/2, and the upstream asked once", async () => {
  const authorization = await gateway.bearer();
  const before = requests;
  const sent = { ":method": "POST", ":path": "/", authorization, "idempotency-key": "key-of-h2" };
  const first = await callHttp2(session, sent);
  const again = await callHttp2(session, sent);
  expect([first.body, first.headers["idempotent-replayed"]]).toEqual(['{"id":1}', undefined]);
  expect([again.body, again.headers["idempotent-replayed"]]).toEqual(['{"id":1}', "true"]);
  expect(requests - before).toBe(1);
});
