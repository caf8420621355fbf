import { create } from "@bufbuild/protobuf";
import { StringValueSchema, type StringValue } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Client, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { createGrpcWebTransport as createBrowserTransport } from "@connectrpc/connect-web";
import { Agent, fetch as undiciFetch } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { callHttp2, connectHttp2 } from "../../edge/http2/http2-client.ts";
import { startGrpcGateway, type GrpcGateway } from "./grpc-harness.ts";
import { startWordsServer, wordsService } from "./words-service.ts";

type Calls = Client<typeof wordsService>;

let server: Awaited<ReturnType<typeof startWordsServer>>;
let gateway: GrpcGateway;
let agent: Agent;

beforeAll(async () => {
  server = await startWordsServer();
  gateway = await startGrpcGateway([`http://${server.target}`], {
    grpc: { service: "test.v1.Words", cors: { origins: ["https://app.test"] } },
  });
  agent = new Agent({ allowH2: false, connect: { ca: gateway.root.cert } });
});
afterAll(async () => {
  await agent.close();
  await gateway.stop();
  server.kill();
});

const word = (value: string): StringValue => create(StringValueSchema, { value });

function clientOver(transport: Transport): Calls {
  return createClient(wordsService, transport);
}

function transports(): Record<string, Transport> {
  const baseUrl = `https://127.0.0.1:${gateway.port}`;
  const nodeOptions = { ca: gateway.root.cert };
  const send: unknown = (url: string, options: object) =>
    undiciFetch(url, { ...options, dispatcher: agent });
  return {
    "gRPC-Web over HTTP/1.1": createGrpcWebTransport({ baseUrl, httpVersion: "1.1", nodeOptions }),
    "gRPC-Web over HTTP/2": createGrpcWebTransport({ baseUrl, httpVersion: "2", nodeOptions }),
    "gRPC-Web of a browser": createBrowserTransport({ baseUrl, fetch: send as typeof fetch }),
    "gRPC of Connect": createGrpcTransport({ baseUrl, nodeOptions }),
  };
}

describe.each([
  "gRPC-Web over HTTP/1.1",
  "gRPC-Web over HTTP/2",
  "gRPC-Web of a browser",
  "gRPC of Connect",
])("%s", (name) => {
  test("reaches an upstream of gRPC", async () => {
    const client = clientOver(transports()[name] as Transport);
    expect((await client.say(word("hello"))).value).toBe("said hello");
    const split = client.split(word("abc"));
    expect((await Array.fromAsync(split)).map(({ value }) => value)).toEqual(["a", "b", "c"]);
  });

  test("is told the upstream's refusal, and ours", async () => {
    const client = clientOver(transports()[name] as Transport);
    const refused = await client.say(word("")).catch(ConnectError.from);
    expect(refused).toMatchObject({ code: Code.NotFound, rawMessage: "no word ü" });
    const large = await client.say(word("x".repeat(5_000_000))).catch(ConnectError.from);
    expect(large).toMatchObject({ code: Code.ResourceExhausted });
  });
});

test("gRPC-Web as base64 is read and answered as base64", async () => {
  const message = Buffer.from([0, 0, 0, 0, 3, 10, 1, 120]);
  const session = await connectHttp2(gateway.port, { ca: gateway.root.cert });
  const { headers, body } = await callHttp2(
    session,
    {
      ":method": "POST",
      ":path": "/test.v1.Words/Say",
      "content-type": "application/grpc-web-text+proto",
      origin: "https://app.test",
    },
    message.toString("base64"),
  );
  expect(headers).toMatchObject({
    "content-type": "application/grpc-web-text+proto",
    "access-control-allow-origin": "https://app.test",
  });
  const parts = body.match(/[^=]+={0,2}/g) ?? [];
  const bytes = Buffer.concat(parts.map((part) => Buffer.from(part, "base64")));
  expect(bytes.toString("latin1")).toContain("said x");
  expect(bytes.toString("latin1")).toMatch(/grpc-status: 0\r\n/);
  session.destroy();
});

test("gRPC itself over HTTP/1.1, which has no place for its trailers, is refused", async () => {
  const answer = await undiciFetch(`https://127.0.0.1:${gateway.port}/test.v1.Words/Say`, {
    method: "POST",
    headers: { "content-type": "application/grpc" },
    body: "",
    dispatcher: agent,
  });
  const { error } = (await answer.json()) as { error: { code: string } };
  expect([answer.status, error.code]).toEqual([415, "unsupported_media_type"]);
});
