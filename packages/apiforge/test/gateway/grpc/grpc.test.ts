import { once } from "node:events";
import {
  Metadata,
  ServerCredentials,
  status,
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
} from "@grpc/grpc-js";
import { until } from "@apiforge/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { Authority } from "@apiforge/testing/certificates";
import { callHttp2, connectHttp2 } from "../../edge/http2/http2-client.ts";
import { startEchoServer, type GrpcServer } from "./echo-service.ts";
import {
  callUnary,
  startCall,
  startGrpcGateway,
  type EchoCalls,
  type GrpcGateway,
} from "./grpc-harness.ts";

let server: GrpcServer;
let gateway: GrpcGateway;
let client: EchoCalls & Client;

beforeAll(async () => {
  server = await startEchoServer();
  gateway = await startGrpcGateway([`http://${server.target}`]);
  client = gateway.client();
});
afterAll(async () => {
  client.close();
  await gateway.stop();
  server.kill();
});

describe("a call goes through", () => {
  test("with its metadata and trailers", async () => {
    const metadata = new Metadata();
    metadata.set("x-own", "kept");
    metadata.set("bytes-bin", Buffer.from([1, 2, 255]));
    const called = await callUnary(client, "Say", "hello", metadata);
    expect([called.code, called.value]).toEqual([status.OK, "said hello"]);
    expect(called.head?.get("x-head")).toEqual(["1"]);
    expect(called.trailer?.get("x-trailer")).toEqual(["2"]);
    expect(called.head?.get("x-request-id")[0]).toMatch(/^req_/);
    expect(server.seen.metadata.get("x-own")).toEqual(["kept"]);
    expect(server.seen.metadata.get("bytes-bin")).toEqual([Buffer.from([1, 2, 255])]);
    expect(server.seen.metadata.get("x-request-id")).toEqual(called.head?.get("x-request-id"));
    expect(server.seen.metadata.get("x-forwarded-for")).toEqual(["127.0.0.1"]);
  });

  test("that streams its answer", async () => {
    const call = startCall<ClientReadableStream<string>>(client, "Split", "abc");
    expect(await Array.fromAsync(call)).toEqual(["a", "b", "c"]);
  });

  test("that streams its messages", async () => {
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const call = startCall<ClientWritableStream<string>>(
      client,
      "Join",
      (_error: unknown, value?: string) => resolve(value),
    );
    for (const piece of ["a", "b", "c"]) call.write(piece);
    call.end();
    expect(await promise).toBe("abc");
  });

  test("that streams both ways, an answer before the next message", async () => {
    const call = startCall<ClientDuplexStream<string, string>>(client, "Chat");
    for (const piece of ["one", "two", "three"]) {
      call.write(piece);
      expect(await once(call, "data")).toEqual([`re: ${piece}`]);
    }
    call.end();
    const [{ code }] = (await once(call, "status")) as [{ code: number }];
    expect(code).toBe(status.OK);
  });

  test("of 20 MB, either way", async () => {
    const large = await startGrpcGateway([`http://${server.target}`], {
      grpc: { maxMessageBytes: 30_000_000 },
    });
    const own = large.client();
    const metadata = new Metadata();
    const message = "x".repeat(3_000_000);
    expect((await callUnary(own, "Say", message, metadata)).value).toHaveLength(3_000_005);
    own.close();
    await large.stop();
  });

  test("that its server refuses, with its status and message", async () => {
    const called = await callUnary(client, "Fail", "x");
    expect([called.code, called.details]).toEqual([status.FAILED_PRECONDITION, "no: 100 % ü"]);
  });
});

describe("a refusal is a status of gRPC", () => {
  test("of the stages", async () => {
    const guarded = await startGrpcGateway([`http://${server.target}`], {
      grpc: { auth: "jwt", scopes: ["echo"], limits: [{ name: "calls", limit: 1, per: "1m" }] },
    });
    const own = guarded.client();
    const as = async (scopes?: string): Promise<Metadata> => {
      const metadata = new Metadata();
      metadata.set("authorization", await guarded.bearer({ scopes: scopes?.split(" ") ?? [] }));
      return metadata;
    };
    const anonymous = await callUnary(own, "Say", "x");
    expect([anonymous.code, anonymous.details]).toEqual([
      status.UNAUTHENTICATED,
      expect.stringContaining("token"),
    ]);
    expect(anonymous.trailer?.get("apiforge-error")).toEqual(["missing_token"]);
    expect((await callUnary(own, "Say", "x", await as())).code).toBe(status.PERMISSION_DENIED);
    expect((await callUnary(own, "Say", "x", await as("echo"))).code).toBe(status.OK);
    const limited = await callUnary(own, "Say", "x", await as("echo"));
    expect(limited.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(Number(limited.trailer?.get("grpc-retry-pushback-ms")[0])).toBeGreaterThan(0);
    own.close();
    await guarded.stop();
  });

  test("of a service that is not there", async () => {
    const session = await connectHttp2(gateway.port, { ca: gateway.root.cert });
    const headers = { ":method": "POST", ":path": "/other.v1.Service/Do", te: "trailers" };
    const answer = await callHttp2(session, { ...headers, "content-type": "application/grpc" }, []);
    expect(answer.headers).toMatchObject({
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-status": "12",
      "apiforge-error": "route_not_found",
    });
    expect([answer.body, answer.resetCode]).toEqual(["", 0]);
    session.destroy();
  });

  test("of an upstream that is not there, and one that goes in the middle", async () => {
    const dying = await startEchoServer();
    const lost = await startGrpcGateway([`http://${dying.target}`]);
    const own = lost.client();
    const stream = startCall<ClientReadableStream<string>>(own, "Split", "ab!");
    const pieces: string[] = [];
    stream.on("data", (piece: string) => pieces.push(piece)).on("error", () => undefined);
    const code = await new Promise<number>((resolve) => {
      stream.once("status", (ended: { code: number }) => resolve(ended.code));
    });
    expect([pieces.join(""), code]).toEqual(["ab!", status.CANCELLED]);
    const after = await callUnary(own, "Say", "x");
    expect([after.code, after.trailer?.get("apiforge-error")]).toEqual([
      status.UNAVAILABLE,
      ["upstream_unreachable"],
    ]);
    expect(lost.behind.states[0]?.pending).toBe(0);
    own.close();
    await lost.stop();
  });

  test("of an upstream that does not speak gRPC", async () => {
    const { createServer } = await import("node:http2");
    const other = createServer((_request, response) => response.writeHead(404).end("nothing"));
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const wrong = await startGrpcGateway([`http://127.0.0.1:${port}`]);
    const own = wrong.client();
    expect((await callUnary(own, "Say", "x")).code).toBe(status.UNKNOWN);
    own.close();
    await wrong.stop();
    other.close();
  });

  test("of a message that is too large", async () => {
    const small = await startGrpcGateway([`http://${server.target}`], {
      grpc: { maxMessageBytes: 1_000 },
    });
    const own = small.client();
    expect((await callUnary(own, "Say", "x".repeat(1_000))).code).toBe(status.OK);
    expect((await callUnary(own, "Say", "x".repeat(1_001))).code).toBe(status.RESOURCE_EXHAUSTED);
    own.close();
    await small.stop();
  });
});

test("a client that cancels takes its call at the upstream with it", async () => {
  const before = server.seen.cancelled;
  const waiting = server.seen.waiting;
  const call = startCall<{ cancel(): void }>(client, "Wait", "x", () => undefined);
  await until("the upstream has it", () => server.seen.waiting > waiting);
  call.cancel();
  await until("the upstream is told", () => server.seen.cancelled > before);
  await until("its place is free", () => gateway.behind.states[0]?.pending === 0);
  expect(server.seen.cancelled).toBe(before + 1);
});

describe("a deadline", () => {
  const headers = {
    ":method": "POST",
    ":path": "/test.v1.Echo/Wait",
    "content-type": "application/grpc",
    te: "trailers",
  };
  const message = [Buffer.from([0, 0, 0, 0, 1, 120])];

  test("of the caller ends its call, here and at the upstream, and reaches it", async () => {
    const session = await connectHttp2(gateway.port, { ca: gateway.root.cert });
    const before = server.seen.cancelled;
    const waiting = server.seen.waiting;
    const call = callHttp2(session, { ...headers, "grpc-timeout": "40S" }, message);
    await until("the upstream has it", () => server.seen.waiting > waiting);
    gateway.upstreamClock.advance(40_000);
    expect((await call).headers).toMatchObject({ "grpc-status": "4" });
    await until("the upstream is told", () => server.seen.cancelled > before);
    const said = await callHttp2(
      session,
      { ...headers, ":path": "/test.v1.Echo/Say", "grpc-timeout": "3M" },
      message,
    );
    expect(said.trailers["grpc-status"]).toBe("0");
    expect(Number(server.seen.deadlineAt) - Date.now()).toBeLessThanOrEqual(180_000);
    session.destroy();
  });

  test("that cannot be read is refused", async () => {
    const session = await connectHttp2(gateway.port, { ca: gateway.root.cert });
    const answer = await callHttp2(session, { ...headers, "grpc-timeout": "soon" }, message);
    expect(answer.headers["grpc-status"]).toBe("3");
    session.destroy();
  });

  test("of the route holds for callers without one", async () => {
    const short = await startGrpcGateway([`http://${server.target}`], {
      grpc: { maxDeadlineMs: 500 },
    });
    const own = short.client();
    const waiting = server.seen.waiting;
    const call = callUnary(own, "Wait", "x");
    await until("the upstream has it", () => server.seen.waiting > waiting);
    short.upstreamClock.advance(500);
    expect((await call).code).toBe(status.DEADLINE_EXCEEDED);
    own.close();
    await short.stop();
  });
});

test("an upstream that asks for a certificate gets the gateway's, and calls go on when it is renewed", async () => {
  const root = await Authority.create("Root");
  const at = await root.issue("upstream", { usage: "server" });
  const secure = await startEchoServer(
    ServerCredentials.createSsl(
      Buffer.from(root.cert),
      [{ private_key: Buffer.from(at.key), cert_chain: Buffer.from(at.cert) }],
      true,
    ),
  );
  const [first, second] = [await root.issue("gateway"), await root.issue("renewed")];
  const showing = await startGrpcGateway([`https://${secure.target}`], {
    upstreamOptions: { ca: root.cert, certificate: { key: first.key, cert: first.cert } },
  });
  const own = showing.client();
  expect((await callUnary(own, "Say", "x")).code).toBe(status.OK);
  const call = startCall<ClientDuplexStream<string, string>>(own, "Chat");
  call.write("one");
  await once(call, "data");
  showing.behind.renewTls({ ca: root.cert, key: second.key, cert: second.cert });
  expect((await callUnary(own, "Say", "x")).code).toBe(status.OK);
  call.write("two");
  expect(await once(call, "data")).toEqual(["re: two"]);
  call.end();
  await once(call, "status");
  const bare = await startGrpcGateway([`https://${secure.target}`], {
    upstreamOptions: { ca: root.cert },
  });
  const without = bare.client();
  expect((await callUnary(without, "Say", "x")).code).not.toBe(status.OK);
  for (const each of [own, without]) each.close();
  await bare.stop();
  await showing.stop();
  secure.kill();
});

test("an endpoint that is not there costs nothing where another one is", async () => {
  const two = await startGrpcGateway(["http://127.0.0.1:1", `http://${server.target}`], {
    upstreamOptions: { balancing: "round-robin" },
  });
  const own = two.client();
  for (let n = 0; n < 3; n++) expect((await callUnary(own, "Say", "x")).code).toBe(status.OK);
  own.close();
  await two.stop();
});
