import { once } from "node:events";
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { connect as connectTls } from "node:tls";
import { gzipSync } from "node:zlib";
import { until } from "@apiforge/testing";
import { Agent, fetch as undiciFetch } from "undici";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { callHttp2, connectHttp2 } from "../../edge/http2/http2-client.ts";
import { startGrpcGateway, type GrpcGateway } from "./grpc-harness.ts";

/** What the upstream does with the next call. */
type Script = (stream: ServerHttp2Stream, body: Buffer, headers: Record<string, unknown>) => void;

const path = "/test.v1.Words/Say";
const origin = "https://app.test";
let script: Script;
let calls = 0;
let gateway: GrpcGateway;
let agent: Agent;
const sessions = new Set<ServerHttp2Session>();
const upstream = createServer();

beforeAll(async () => {
  upstream.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined);
  });
  upstream.on("stream", (stream: ServerHttp2Stream, headers) => {
    calls += 1;
    const pieces: Buffer[] = [];
    stream.on("error", () => undefined);
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    stream.on("end", () => script(stream, Buffer.concat(pieces), headers));
  });
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const { port } = upstream.address() as AddressInfo;
  gateway = await startGrpcGateway([`http://127.0.0.1:${port}`], {
    grpc: { service: "test.v1.Words", maxMessageBytes: 1_000, cors: { origins: [origin] } },
    // What it does wrong here is meant.
    upstreamOptions: { breaker: { failures: 1_000 } },
  });
  agent = new Agent({ allowH2: false, connect: { ca: gateway.root.cert } });
});
afterAll(async () => {
  await agent.close();
  await gateway.stop();
  for (const session of sessions) session.destroy();
  upstream.close();
});
afterEach(async () => {
  await until("no call is left", () => gateway.behind.states[0]?.pending === 0);
});

function message(text: string | Buffer, flags = 0): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.from([flags, 0, 0, 0, 0]);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** Answers with `body`, and then `trailer`. */
function answering(
  body: Buffer,
  trailer: Record<string, string | string[]> = { "grpc-status": "0" },
  head: Record<string, string> = {},
): Script {
  return (stream) => {
    stream.respond(
      { ":status": 200, "content-type": "application/grpc+proto", ...head },
      { waitForTrailers: true },
    );
    stream.once("wantTrailers", () => stream.sendTrailers(trailer));
    stream.end(body);
  };
}

interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
}

async function ask(
  body: string | Buffer = "x",
  headers: Record<string, string> = {},
): Promise<Asked> {
  const answer = await undiciFetch(`https://127.0.0.1:${gateway.port}${path}`, {
    method: "POST",
    headers: { "content-type": "application/proto", "accept-encoding": "identity", ...headers },
    body: Buffer.from(body),
    dispatcher: agent,
  });
  const bytes = Buffer.from(await answer.arrayBuffer());
  return { status: answer.status, headers: answer.headers as unknown as Headers, bytes };
}

function errorIn({ bytes }: Asked): { code: string; message: string; details?: unknown } {
  return JSON.parse(bytes.toString()) as ReturnType<typeof errorIn>;
}

/** Messages of a stream, with their flags. */
function envelopes(bytes: Buffer): (readonly [flags: number, text: string])[] {
  const found: (readonly [number, string])[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    found.push([bytes.readUInt8(at), bytes.subarray(at + 5, end).toString()]);
    at = end;
  }
  return found;
}

describe("the body of a unary call", () => {
  test("is one message to the upstream, which is told the rest by gRPC's names", async () => {
    let seen: Record<string, unknown> = {};
    let sent = Buffer.alloc(0);
    script = (stream, body, headers) => {
      [seen, sent] = [headers, Buffer.from(body)];
      answering(message("yes"), { "grpc-status": "0", "x-more": ["1", "2"] })(
        stream,
        body,
        headers,
      );
    };
    const answer = await ask("hello", {
      "content-type": "application/proto; charset=utf-8",
      "connect-protocol-version": "1",
      "connect-timeout-ms": "5000",
      "accept-encoding": "br, gzip;q=0.5",
      "grpc-encoding": "snappy",
    });
    expect(sent).toEqual(message("hello"));
    expect(seen).toMatchObject({
      "content-type": "application/grpc+proto",
      "grpc-timeout": "5000m",
      "grpc-accept-encoding": "gzip",
      te: "trailers",
    });
    for (const name of ["connect-protocol-version", "connect-timeout-ms", "grpc-encoding"]) {
      expect(seen).not.toHaveProperty(name);
    }
    expect(seen).not.toHaveProperty("accept-encoding");
    expect([answer.status, answer.bytes.toString()]).toEqual([200, "yes"]);
    expect(answer.headers.get("content-type")).toBe("application/proto");
    expect(answer.headers.get("content-length")).toBe("3");
    expect(answer.headers.get("trailer-x-more")).toBe("1, 2");
    expect(answer.headers.get("grpc-status")).toBeNull();
  });

  test("may be empty, and is then never compressed", async () => {
    let sent = Buffer.alloc(0);
    script = (stream, body, headers) => {
      sent = Buffer.from(body);
      answering(message("", 1), undefined, { "grpc-encoding": "gzip" })(stream, body, headers);
    };
    const answer = await ask("", { "content-encoding": "gzip", "accept-encoding": "gzip" });
    expect(sent).toEqual(message(""));
    expect([answer.status, answer.bytes.length]).toEqual([200, 0]);
    expect(answer.headers.get("content-encoding")).toBeNull();
  });

  test("passes with gzip as it is, both ways", async () => {
    const zipped = gzipSync("hello");
    let sent = Buffer.alloc(0);
    script = (stream, body, headers) => {
      sent = Buffer.from(body);
      expect(headers["grpc-encoding"]).toBe("gzip");
      answering(message(gzipSync("yes"), 1), undefined, {
        "grpc-encoding": "gzip",
        "grpc-accept-encoding": "identity,gzip",
      })(stream, body, headers);
    };
    const answer = await ask(zipped, { "content-encoding": "gzip", "accept-encoding": "gzip" });
    expect(sent).toEqual(message(zipped, 1));
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    expect(answer.headers.get("accept-encoding")).toBe("identity,gzip");
    // Which fetch has decoded.
    expect(answer.bytes.toString()).toBe("yes");
  });

  test("in a coding that no message can have is refused, and nothing is asked", async () => {
    const before = calls;
    const answer = await ask("x", { "content-encoding": "br" });
    expect([answer.status, errorIn(answer).code]).toEqual([501, "unimplemented"]);
    expect(errorIn(answer).message).toContain("gzip");
    expect(answer.headers.get("apiforge-error")).toBe("unsupported_media_type");
    const stream = await ask(message("x"), {
      "content-type": "application/connect+proto",
      "content-encoding": "gzip",
    });
    expect(stream.status).toBe(200);
    expect(envelopes(stream.bytes)[0]?.[1]).toContain("unimplemented");
    expect(calls).toBe(before);
  });

  test("that is too large is refused before anything is asked, whatever says how long it is", async () => {
    const before = calls;
    for (const body of ["x".repeat(1_001), "x".repeat(500_000)]) {
      const answer = await ask(body);
      expect([answer.status, errorIn(answer).code]).toEqual([429, "resource_exhausted"]);
      expect(answer.headers.get("apiforge-error")).toBe("body_too_large");
    }
    const session = await connectHttp2(gateway.port, { ca: gateway.root.cert });
    const headers = { ":method": "POST", ":path": path, "content-type": "application/proto" };
    const pieces = [Buffer.alloc(600), Buffer.alloc(600)];
    const { headers: head } = await callHttp2(session, headers, pieces);
    expect(head).toMatchObject({ ":status": 429, "apiforge-error": "body_too_large" });
    session.destroy();
    expect(calls).toBe(before);
  });

  test("that its client breaks off goes nowhere", async () => {
    const before = calls;
    const socket = connectTls({ port: gateway.port, host: "127.0.0.1", ca: gateway.root.cert });
    await once(socket, "secureConnect");
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\nContent-Length: 9\r\n\r\nhalf`,
    );
    socket.end();
    await once(socket.resume(), "close");
    const session = await connectHttp2(gateway.port, { ca: gateway.root.cert });
    const stream = session.request(
      { ":method": "POST", ":path": path, "content-type": "application/proto" },
      { endStream: false },
    );
    stream.on("error", () => undefined).write("half");
    stream.close(8);
    await once(stream, "close");
    script = answering(message("yes"));
    expect((await ask()).status).toBe(200);
    expect(calls).toBe(before + 1);
    session.destroy();
  });

  test("that does not come over HTTP/2 ends with a status", async () => {
    const session = await connectHttp2(gateway.port, { ca: gateway.root.cert });
    const stream = session.request(
      { ":method": "POST", ":path": path, "content-type": "application/proto" },
      { endStream: false },
    );
    const head = once(stream, "response");
    stream.on("error", () => undefined).write("half");
    let status: unknown;
    void head.then(([fields]) => (status = fields[":status"]));
    await until("it is given up", () => {
      gateway.upstreamClock.advance(300_000);
      return status !== undefined;
    });
    expect(status).toBe(504);
    session.destroy();
  });
});

describe("an answer to a unary call", () => {
  test.each<[string, Script, number, string]>([
    ["without a message", answering(Buffer.alloc(0)), 501, "unimplemented"],
    [
      "of two messages",
      answering(Buffer.concat([message("a"), message("b")])),
      501,
      "unimplemented",
    ],
    ["that is too long", answering(message("x".repeat(1_001))), 429, "resource_exhausted"],
    ["with half a prefix", answering(Buffer.from([0, 0])), 500, "internal"],
    ["with half a message", answering(message("half").subarray(0, 7)), 500, "internal"],
    ["without a status", answering(message("yes"), {}), 500, "internal"],
    [
      "of a status that is none",
      answering(message("yes"), { "grpc-status": "99" }),
      500,
      "unknown",
    ],
    ["with other flags", answering(message("yes", 2)), 500, "internal"],
    [
      "compressed unasked",
      answering(message("yes", 1), undefined, { "grpc-encoding": "gzip" }),
      500,
      "internal",
    ],
    [
      "in JSON unasked",
      answering(message("{}"), undefined, { "content-type": "application/grpc+json" }),
      501,
      "unimplemented",
    ],
    [
      "of another protocol",
      answering(message("yes"), undefined, { "content-type": "text/html" }),
      501,
      "unimplemented",
    ],
    ["that is reset", (stream) => stream.close(2), 500, "unknown"],
    [
      "of another status of HTTP",
      (stream) => stream.respond({ ":status": 404 }, { endStream: true }),
      500,
      "unknown",
    ],
    [
      "of an upstream that is busy",
      (stream) => stream.respond({ ":status": 503 }, { endStream: true }),
      503,
      "unavailable",
    ],
    [
      "that breaks off",
      (stream) => {
        stream.respond({ ":status": 200, "content-type": "application/grpc" });
        stream.write(message("half").subarray(0, 7), () => stream.close(2));
      },
      500,
      "internal",
    ],
    [
      "whose connection breaks off",
      (stream) => {
        stream.respond({ ":status": 200, "content-type": "application/grpc" });
        stream.write(message("half").subarray(0, 7), () => stream.session?.destroy());
      },
      499,
      "canceled",
    ],
  ])("%s is an error", async (_name, next, status, code) => {
    script = next;
    const answer = await ask();
    expect([answer.status, errorIn(answer).code]).toEqual([status, code]);
    expect(answer.headers.get("content-type")).toBe("application/json");
  });

  test("is an error where its head is all, with what else is in it", async () => {
    script = (stream) =>
      stream.respond(
        {
          ":status": 200,
          "content-type": "application/grpc",
          "grpc-status": "9",
          "grpc-message": "100 %25 %C3%BC",
          "grpc-status-details-bin": "!!!",
          "x-more": "1",
        },
        { endStream: true },
      );
    const answer = await ask();
    expect([answer.status, errorIn(answer)]).toEqual([
      400,
      { code: "failed_precondition", message: "100 % ü" },
    ]);
    expect(answer.headers.get("x-more")).toBe("1");
  });

  test("does not count against the upstream where it is the caller who asked in the wrong way", async () => {
    const { port } = upstream.address() as AddressInfo;
    const strict = await startGrpcGateway([`http://127.0.0.1:${port}`], {
      grpc: { service: "test.v1.Words" },
      upstreamOptions: { breaker: { failures: 1 } },
    });
    const session = await connectHttp2(strict.port, { ca: strict.root.cert });
    const head = { ":method": "POST", ":path": path, "content-type": "application/proto" };
    script = answering(Buffer.concat([message("a"), message("b")]));
    expect((await callHttp2(session, head, "x")).headers[":status"]).toBe(501);
    script = answering(message("yes"));
    expect((await callHttp2(session, head, "x")).headers[":status"]).toBe(200);
    script = (stream) => stream.close(2);
    await callHttp2(session, head, "x");
    expect(strict.behind.states[0]?.state).toBe("open");
    session.destroy();
    await strict.stop();
  });
});

describe("a stream", () => {
  const stream = { "content-type": "application/connect+json" };
  const json = { "content-type": "application/grpc+json" };

  test("has its messages as they are, and its end in the last envelope", async () => {
    let seen: Record<string, unknown> = {};
    let sent = Buffer.alloc(0);
    script = (call, body, headers) => {
      [seen, sent] = [headers, Buffer.from(body)];
      answering(
        Buffer.concat([message("{}"), message("zip", 1)]),
        { "grpc-status": "0", "x-more": ["1", "2"], __proto__x: "3" },
        { ...json, "grpc-encoding": "gzip", "grpc-accept-encoding": "gzip" },
      )(call, body, headers);
    };
    const body = Buffer.concat([message("{}"), message("zip", 1)]);
    const answer = await ask(body, {
      ...stream,
      "connect-content-encoding": "gzip",
      "connect-accept-encoding": "gzip, br",
    });
    expect(sent).toEqual(body);
    expect(seen).toMatchObject({
      "content-type": "application/grpc+json",
      "grpc-encoding": "gzip",
      "grpc-accept-encoding": "gzip, br",
    });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([
      200,
      "application/connect+json",
    ]);
    expect(answer.headers.get("connect-content-encoding")).toBe("gzip");
    expect(answer.headers.get("connect-accept-encoding")).toBe("gzip");
    const [first, second, end] = envelopes(answer.bytes);
    expect([first, second]).toEqual([
      [0, "{}"],
      [1, "zip"],
    ]);
    expect([end?.[0], JSON.parse(end?.[1] ?? "")]).toEqual([
      2,
      { metadata: { "x-more": ["1", "2"], __proto__x: ["3"] } },
    ]);
  });

  test("that is cut between messages ends with an error, and inside of one is cut too", async () => {
    const opening = (rest: Buffer): Script => {
      return (call) => {
        call.respond({ ":status": 200, ...json });
        call.write(Buffer.concat([message("{}"), rest]), () => call.close(2));
      };
    };
    script = opening(Buffer.alloc(0));
    const ended = envelopes((await ask("", stream)).bytes);
    expect(ended[0]).toEqual([0, "{}"]);
    expect(JSON.parse(ended[1]?.[1] ?? "")).toMatchObject({ error: { code: "internal" } });
    script = opening(message("half").subarray(0, 7));
    await expect(ask("", stream)).rejects.toThrow();
    const session = await connectHttp2(gateway.port, { ca: gateway.root.cert });
    const head = { ":method": "POST", ":path": path, ...stream };
    expect((await callHttp2(session, head, [message("{}")])).resetCode).toBe(2);
    const web = { ...head, "content-type": "application/grpc-web+proto" };
    expect((await callHttp2(session, web, [message("{}")])).resetCode).toBe(2);
    session.destroy();
  });

  test("in another form than was asked for is an error before any of it", async () => {
    script = answering(message("binary"));
    const answer = await ask(message("{}"), stream);
    const [only, ...rest] = envelopes(answer.bytes);
    expect(rest).toEqual([]);
    expect(JSON.parse(only?.[1] ?? "")).toMatchObject({ error: { code: "unimplemented" } });
  });
});

describe("a browser", () => {
  test("may call from another origin, by Connect and by gRPC-Web, and read why it was refused", async () => {
    const names = ["connect-protocol-version", "connect-timeout-ms", "x-grpc-web", "x-user-agent"];
    const asked = await undiciFetch(`https://127.0.0.1:${gateway.port}${path}`, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": ["content-type", ...names].join(","),
      },
      dispatcher: agent,
    });
    expect(asked.status).toBe(204);
    const allowed = asked.headers.get("access-control-allow-headers")?.toLowerCase().split(", ");
    expect(allowed).toEqual(expect.arrayContaining(["content-type", "grpc-timeout", ...names]));
    const refused = await ask("x", { origin, "content-encoding": "br" });
    expect(refused.headers.get("access-control-allow-origin")).toBe(origin);
    expect(refused.headers.get("access-control-expose-headers")).toContain("Apiforge-Error");
  });
});

describe("what no route answers", () => {
  test("is told to a caller by Connect as its error, to others as ever", async () => {
    const url = `https://127.0.0.1:${gateway.port}/other.v1.Service/Do`;
    const told = async (headers: Record<string, string>): Promise<unknown[]> => {
      const answer = await undiciFetch(url, {
        method: "POST",
        body: "{}",
        headers: { "content-type": "application/json", ...headers },
        dispatcher: agent,
      });
      return [answer.status, await answer.json()];
    };
    expect(await told({ "connect-protocol-version": "1" })).toEqual([
      501,
      expect.objectContaining({ code: "unimplemented" }),
    ]);
    expect(await told({})).toEqual([
      404,
      { error: expect.objectContaining({ code: "route_not_found" }) as unknown },
    ]);
  });
});

describe("what is no call by Connect", () => {
  test("is refused as what it is, with the types that the service takes", async () => {
    const text = await ask("x", { "content-type": "text/plain", "connect-protocol-version": "1" });
    expect(text.status).toBe(415);
    const get = await undiciFetch(
      `https://127.0.0.1:${gateway.port}${path}?connect=v1&encoding=json&message=%7B%7D`,
      { dispatcher: agent },
    );
    expect([get.status, get.headers.get("allow")]).toEqual([405, expect.stringContaining("POST")]);
    await get.text();
  });
});
