import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { until } from "@apiforge/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { callHttp2, connectHttp2 } from "../../edge/http2/http2-client.ts";
import {
  connectClient,
  errorOf,
  valuesOf,
  word,
  type ClientOptions,
  type WordsClient,
} from "./connect-client.ts";
import { startGrpcGateway, type GrpcGateway } from "./grpc-harness.ts";
import type { GrpcServer } from "./echo-service.ts";
import { startWordsOfJson, startWordsServer } from "./words-service.ts";

const grpc = { service: "test.v1.Words" };
let binary: GrpcServer;
let ofJson: Pick<GrpcServer, "target" | "kill">;
let gateway: GrpcGateway;
let jsonGateway: GrpcGateway;

beforeAll(async () => {
  [binary, ofJson] = await Promise.all([startWordsServer(), startWordsOfJson()]);
  gateway = await startGrpcGateway([`http://${binary.target}`], { grpc });
  jsonGateway = await startGrpcGateway([`http://${ofJson.target}`], { grpc });
});
afterAll(async () => {
  await Promise.all([gateway.stop(), jsonGateway.stop()]);
  for (const server of [binary, ofJson]) server.kill();
});

describe.each([
  { httpVersion: "1.1", useBinaryFormat: true },
  { httpVersion: "2", useBinaryFormat: true },
  { httpVersion: "1.1", useBinaryFormat: false },
  { httpVersion: "2", useBinaryFormat: false },
] as const)("Connect over HTTP/$httpVersion (binary: $useBinaryFormat)", (options) => {
  const client = (more: ClientOptions = {}): WordsClient =>
    connectClient(options.useBinaryFormat ? gateway : jsonGateway, { ...options, ...more });

  test("asks with one message and gets one", async () => {
    expect((await client().say(word("hello"))).value).toBe("said hello");
  });

  test("is told the upstream's error, with its details and its trailer", async () => {
    const error = await errorOf(client().say(word("")));
    expect(error).toMatchObject({ code: Code.NotFound, rawMessage: "no word ü" });
    expect(error.findDetails(StringValueSchema)).toEqual([word("detail")]);
    expect(error.metadata.get("x-trailer")).toBe("2");
  });

  test("compresses both ways", async () => {
    const compressing = client({ compresses: true });
    const long = "long ".repeat(1_000);
    expect((await compressing.say(word(long))).value).toBe(`said ${long}`);
    const letters = "a".repeat(20);
    expect(await valuesOf(compressing.split(word(letters)))).toEqual(letters.split(""));
  });

  test("gets a stream, and sends one", async () => {
    expect(await valuesOf(client().split(word("abc")))).toEqual(["a", "b", "c"]);
    async function* words() {
      yield* ["a", "b"].map(word);
    }
    expect((await client().join(words())).value).toBe("ab");
  });

  test("is refused by the stages, one message or a stream", async () => {
    const guarded = await startGrpcGateway(
      [`http://${(options.useBinaryFormat ? binary : ofJson).target}`],
      { grpc: { ...grpc, auth: "jwt", limits: [{ name: "calls", limit: 1, per: "1m" }] } },
    );
    const own = connectClient(guarded, options);
    for (const call of [() => own.say(word("x")), () => valuesOf(own.split(word("x")))]) {
      const error = await errorOf(call());
      expect(error.code).toBe(Code.Unauthenticated);
      expect(error.rawMessage).toContain("token");
      expect(error.metadata.get("apiforge-error")).toBe("missing_token");
      // A stream's status is 200.
      const challenge = error.metadata.get("content-type") === "application/json";
      expect(error.metadata.get("www-authenticate")?.startsWith("Bearer") ?? false).toBe(challenge);
    }
    const headers = { authorization: await guarded.bearer() };
    expect((await own.say(word("x"), { headers })).value).toBe("said x");
    for (const call of [
      () => own.say(word("x"), { headers }),
      () => valuesOf(own.split(word("x"), { headers })),
    ]) {
      const error = await errorOf(call());
      expect(error.code).toBe(Code.ResourceExhausted);
      expect(Number(error.metadata.get("retry-after"))).toBeGreaterThan(0);
    }
    await guarded.stop();
  });

  test("is told of an upstream that is not there", async () => {
    const lost = await startGrpcGateway(["http://127.0.0.1:1"], { grpc });
    const own = connectClient(lost, options);
    for (const call of [() => own.say(word("x")), () => valuesOf(own.split(word("x")))]) {
      const error = await errorOf(call());
      expect(error.code).toBe(Code.Unavailable);
      expect(error.metadata.get("apiforge-error")).toBe("upstream_unreachable");
    }
    await lost.stop();
  });

  test("is refused a message that is too large", async () => {
    const large = word("x".repeat(5_000_000));
    expect((await errorOf(client().say(large))).code).toBe(Code.ResourceExhausted);
  });
});

test.each([true, false])("both ways at once, over HTTP/2 (binary: %s)", async (useBinaryFormat) => {
  const client = connectClient(useBinaryFormat ? gateway : jsonGateway, { useBinaryFormat });
  let { promise: next, resolve: send } = Promise.withResolvers<string | undefined>();
  async function* words() {
    for (;;) {
      const value = await next;
      if (value === undefined) return;
      ({ promise: next, resolve: send } = Promise.withResolvers<string | undefined>());
      yield word(value);
    }
  }
  const answers = client.chat(words())[Symbol.asyncIterator]();
  for (const value of ["one", "two", "three"]) {
    send(value);
    expect((await answers.next()).value).toMatchObject({ value: `re: ${value}` });
  }
  send(undefined);
  expect((await answers.next()).done).toBe(true);
});

test("metadata goes up, and comes back in front of the answer and behind it", async () => {
  const heads: Headers[] = [];
  const trailers: Headers[] = [];
  const keep = {
    onHeader: (fields: Headers) => void heads.push(fields),
    onTrailer: (fields: Headers) => void trailers.push(fields),
  };
  const client = connectClient(gateway, {});
  await client.say(word("x"), { ...keep, headers: { "x-own": "kept", "bytes-bin": "AQL/" } });
  expect(binary.seen.metadata.get("x-own")).toEqual(["kept"]);
  expect(binary.seen.metadata.get("bytes-bin")).toEqual([Buffer.from([1, 2, 255])]);
  expect(binary.seen.metadata.get("connect-protocol-version")).toEqual([]);
  expect(binary.seen.metadata.get("x-request-id")).toEqual([heads[0]?.get("x-request-id")]);
  expect(heads[0]?.get("x-head")).toBe("1");
  await valuesOf(client.split(word("x"), keep));
  expect(trailers.map((fields) => fields.get("x-trailer"))).toEqual(["2", "2"]);
});

test("a stream ends with the upstream's error behind what it has sent", async () => {
  const got: string[] = [];
  const stream = connectClient(gateway, { httpVersion: "1.1" }).split(word("ab!"));
  const error = await errorOf(
    (async () => {
      for await (const { value } of stream) got.push(value);
    })(),
  );
  expect([got, error.code]).toEqual([["a", "b"], Code.Aborted]);
  expect(error.metadata.get("x-trailer")).toBe("2");
});

test("JSON to an upstream that knows none is answered with its own error", async () => {
  const client = connectClient(gateway, { useBinaryFormat: false });
  const error = await errorOf(client.say(word("x")));
  expect(error.code).toBe(Code.Internal);
  expect(error.metadata.get("apiforge-error")).toBeNull();
});

describe("a deadline", () => {
  test("reaches the upstream, and ends the call here and there", async () => {
    const client = connectClient(gateway, {});
    await client.say(word("x"), { timeoutMs: 180_000 });
    const left = Number(binary.seen.deadlineAt) - Date.now();
    expect(left).toBeLessThanOrEqual(180_000);
    expect(left).toBeGreaterThan(0);
    const short = await startGrpcGateway([`http://${binary.target}`], {
      grpc: { ...grpc, maxDeadlineMs: 500 },
    });
    const [waiting, before] = [binary.seen.waiting, binary.seen.cancelled];
    const call = errorOf(connectClient(short, {}).say(word("wait")));
    await until("the upstream has it", () => binary.seen.waiting > waiting);
    short.upstreamClock.advance(500);
    const error = await call;
    expect(error.code).toBe(Code.DeadlineExceeded);
    expect(error.metadata.get("apiforge-error")).toBe("request_timeout");
    await until("the upstream is told", () => binary.seen.cancelled > before);
    expect(short.behind.states[0]?.pending).toBe(0);
    await short.stop();
  });

  test("that cannot be read is refused", async () => {
    const headers = { "connect-timeout-ms": "12345678901" };
    const error = await errorOf(connectClient(gateway, {}).say(word("x"), { headers }));
    expect(error.code).toBe(Code.InvalidArgument);
  });
});

test("a client that cancels takes its call at the upstream with it", async () => {
  const [waiting, before] = [binary.seen.waiting, binary.seen.cancelled];
  const abort = new AbortController();
  const { signal } = abort;
  const call = errorOf(
    connectClient(gateway, { httpVersion: "1.1" }).say(word("wait"), { signal }),
  );
  await until("the upstream has it", () => binary.seen.waiting > waiting);
  abort.abort();
  expect((await call).code).toBe(Code.Canceled);
  await until("the upstream is told", () => binary.seen.cancelled > before);
  await until("its place is free", () => gateway.behind.states[0]?.pending === 0);
  expect(gateway.behind.states[0]?.pending).toBe(0);
});

test("half a message in a whole stream ends with an error", async () => {
  const session = await connectHttp2(gateway.port, { ca: gateway.root.cert });
  for (const path of ["/test.v1.Words/Split", "/test.v1.Words/Chat"]) {
    const head = { ":method": "POST", ":path": path, "content-type": "application/connect+proto" };
    const { body } = await callHttp2(session, head, [Buffer.from([0, 0, 0, 0, 9, 10])]);
    expect(JSON.parse(body.slice(5))).toMatchObject({ error: { code: "invalid_argument" } });
  }
  session.destroy();
});
