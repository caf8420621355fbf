import { until } from "@apiforge/testing";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute } from "../../../src/edge/index.ts";
import { flags, frameTypes, literal, RawHttp2 } from "./http2-client.ts";
import { startTls, type TlsHarness } from "./http2-harness.ts";

const waiting = new Set<() => void>();
let most = 0;
const slow = defineRoute({
  method: "GET",
  path: "/slow",
  auth: "none",
  transaction: "none",
  replies: { 200: z.object({}) },
  handler: async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.add(resolve);
    most = Math.max(most, waiting.size);
    await promise;
    waiting.delete(resolve);
    return { status: 200, body: {} };
  },
});

const echo = defineRoute({
  method: "GET",
  path: "/echo",
  auth: "none",
  transaction: "none",
  headers: z.object({ "x-split": z.string().default("none") }),
  replies: { 200: z.object({ split: z.string() }) },
  handler: ({ headers }) => ({ status: 200, body: { split: headers["x-split"] } }),
});

const uploads: string[] = [];
const upload = defineRoute({
  method: "POST",
  path: "/upload",
  auth: "none",
  transaction: "none",
  body: "bytes",
  replies: { 200: z.object({}) },
  handler: ({ body }) => {
    uploads.push(body.toString());
    return { status: 200, body: {} };
  },
});

let served: TlsHarness;
const open: RawHttp2[] = [];

beforeAll(async () => {
  served = await startTls([slow, echo, upload]);
});
afterEach(() => {
  for (const resolve of waiting) resolve();
  for (const raw of open.splice(0)) raw.close();
});
afterAll(() => served.stop());

async function connect(): Promise<RawHttp2> {
  const raw = await RawHttp2.connect(served.port, served.root.cert);
  open.push(raw);
  return raw;
}

function get(path: string): [string, string][] {
  return [
    [":method", "GET"],
    [":scheme", "https"],
    [":authority", "a"],
    [":path", path],
  ];
}

const codes = { protocol: 1, refused: 7, calm: 11 } as const;

/** Of the answer on a stream. */
function isAnswered(raw: RawHttp2, stream: number): boolean {
  return raw.ofType(frameTypes.headers).some((frame) => frame.stream === stream);
}

async function isGone(raw: RawHttp2): Promise<void> {
  await until("the connection is closed", () => raw.isClosed);
}

test("a request of plain frames is answered", async () => {
  const raw = await connect();
  raw.request(1, get("/health/live"));
  await until("it is answered", () => isAnswered(raw, 1));
  expect(raw.resetOf(1)).toBeUndefined();
});

test.each([
  ["connection", "close"],
  ["keep-alive", "5"],
  ["proxy-connection", "close"],
  ["transfer-encoding", "chunked"],
  ["upgrade", "websocket"],
  ["te", "gzip"],
  ["X-Upper", "1"],
  [":path", "/other"],
  [":unknown", "1"],
  ["content-length", "5"],
])("%s: %j makes a stream that is reset, and no request", async (name, value) => {
  const raw = await connect();
  raw.request(1, [...get("/health/live"), [name, value]]);
  raw.request(3, get("/health/live"));
  await until("the next one is answered", () => isAnswered(raw, 3) || raw.isClosed);
  expect(isAnswered(raw, 1)).toBe(false);
  expect(raw.resetOf(1)).toBe(codes.protocol);
});

test("a request without a path, and a target of another form, are none", async () => {
  const raw = await connect();
  raw.request(1, get("/health/live").slice(0, 3));
  raw.request(3, get("https://a/health/live"));
  await until(
    "both are refused",
    () => raw.resetOf(1) !== undefined && raw.resetOf(3) !== undefined,
  );
  expect([raw.resetOf(1), raw.resetOf(3)]).toEqual([codes.protocol, codes.protocol]);
});

test("a hundred requests of one connection are at work at a time", async () => {
  most = 0;
  const raw = await connect();
  for (let n = 0; n < 150; n++) raw.request(1 + 2 * n, get("/slow"));
  await until("a hundred are at work", () => waiting.size === 100);
  await until("the others are refused", () => raw.resetOf(299) !== undefined || raw.isClosed);
  expect(most).toBe(100);
});

const large = get("/health/live");
for (let n = 0; n < 10; n++) large.push([`x-${n}`, "x".repeat(2_000)]);

/** Asks with a head of 20 KB in two frames. */
function requestLarge(raw: RawHttp2, stream: number): void {
  const block = literal(large);
  const [first, rest] = [block.subarray(0, 16_000), block.subarray(16_000)];
  raw.write({ type: frameTypes.headers, flags: flags.endStream, stream, payload: first });
  raw.write({ type: frameTypes.continuation, flags: flags.endHeaders, stream, payload: rest });
}

test("a head that is too large makes no request", async () => {
  const raw = await connect();
  await until("its limits are told", () => raw.ofType(frameTypes.settings).length > 0);
  const payload = Buffer.alloc(0);
  raw.write({ type: frameTypes.settings, flags: flags.ack, stream: 0, payload });
  requestLarge(raw, 1);
  await until("it is refused", () => raw.resetOf(1) !== undefined);
  expect([raw.resetOf(1), isAnswered(raw, 1)]).toEqual([codes.calm, false]);
});

test("a client that does not agree to the limit is told of it", async () => {
  const raw = await connect();
  requestLarge(raw, 1);
  await until("it is answered", () => raw.ofType(frameTypes.data).length > 0);
  const [body] = raw.ofType(frameTypes.data);
  expect(body?.payload.toString()).toContain('"headers_too_large"');
});

test("a value with a line break reaches nobody", async () => {
  const raw = await connect();
  raw.request(1, [...get("/echo"), ["x-split", "a\r\nb: c"]]);
  await until("it is answered", () => raw.ofType(frameTypes.data).length > 0);
  const [body] = raw.ofType(frameTypes.data);
  expect(body?.payload.toString()).toBe('{"split":"none"}');
});

test("more than a hundred fields are told, as over HTTP/1.1", async () => {
  const raw = await connect();
  const many = get("/health/live");
  for (let n = 0; n < 105; n++) many.push([`x-${n}`, "1"]);
  raw.request(1, many);
  await until("it is answered", () => raw.ofType(frameTypes.data).length > 0);
  const [body] = raw.ofType(frameTypes.data);
  expect(body?.payload.toString()).toContain('"headers_too_large"');
});

test("a head that does not end (CONTINUATION flood) ends the connection", async () => {
  const raw = await connect();
  const payload = literal([["x", "y"]]);
  raw.write({ type: frameTypes.headers, flags: 0, stream: 1, payload: literal(get("/slow")) });
  for (let n = 0; n < 200; n++) {
    raw.write({ type: frameTypes.continuation, flags: 0, stream: 1, payload });
  }
  await isGone(raw);
  expect(waiting.size).toBe(0);
});

test("requests that are reset at once (CVE-2023-44487) end the connection", async () => {
  const raw = await connect();
  const payload = Buffer.from([0, 0, 0, 8]);
  for (let n = 0; n < 1_000; n++) {
    raw.request(1 + 2 * n, get("/health/live"));
    raw.write({ type: frameTypes.reset, flags: 0, stream: 1 + 2 * n, payload });
  }
  await isGone(raw);
  expect(raw.goaway).toBeGreaterThan(0);
});

test.each([
  ["pings", frameTypes.ping, Buffer.alloc(8)],
  ["settings", frameTypes.settings, Buffer.alloc(0)],
])(
  "a flood of %s ends the connection, though all answers are read",
  async (_name, type, payload) => {
    const raw = await connect();
    const answers = (): number =>
      raw.ofType(type).filter(({ flags: bits }) => bits === flags.ack).length;
    for (let sent = 0; sent < 2_000 && !raw.isClosed; sent += 200) {
      const before = answers();
      for (let n = 0; n < 200; n++) raw.write({ type, flags: 0, stream: 0, payload });
      await until("they are answered", () => raw.isClosed || answers() >= before + 200);
    }
    expect(raw.isClosed).toBe(true);
    expect(answers()).toBeLessThanOrEqual(1_001);
  },
);

test("a flood of pings whose answers nobody reads ends the connection", async () => {
  const raw = await connect();
  const ping = { type: frameTypes.ping, flags: 0, stream: 0, payload: Buffer.alloc(8) };
  for (let n = 0; n < 3_000; n++) raw.write(ping);
  await isGone(raw);
  expect(raw.ofType(frameTypes.ping).length).toBeLessThanOrEqual(1_001);
});

test("a ping now and then ends nothing", async () => {
  const raw = await connect();
  const ping = { type: frameTypes.ping, flags: 0, stream: 0, payload: Buffer.alloc(8) };
  for (let window = 0; window < 3; window++) {
    for (let n = 0; n < 500; n++) raw.write(ping);
    const answers = (window + 1) * 500;
    await until("all are answered", () => raw.ofType(frameTypes.ping).length === answers);
    served.clock.advance(10_000);
  }
  raw.request(1, get("/health/live"));
  await until("it is answered", () => isAnswered(raw, 1));
  expect(raw.goaway).toBeUndefined();
});

test("frames without content end the connection", async () => {
  const raw = await connect();
  raw.request(1, get("/slow"), false);
  const payload = Buffer.alloc(0);
  for (let n = 0; n < 5_000; n++) {
    raw.write({ type: frameTypes.data, flags: 0, stream: 1, payload });
  }
  await isGone(raw);
  expect(isAnswered(raw, 1)).toBe(false);
});

test.each([0, 8])(
  "a body whose stream is reset with code %i is not taken for whole",
  async (code) => {
    const raw = await connect();
    const fields = get("/upload").with(0, [":method", "POST"]);
    fields.push(["content-type", "text/plain"]);
    const send = (stream: number, text: string, end: number): void => {
      raw.request(stream, fields, false);
      const payload = Buffer.from(text);
      raw.write({ type: frameTypes.data, flags: end, stream, payload });
    };
    send(1, "half", 0);
    send(3, "whole", flags.endStream);
    await until("the other one is answered", () => isAnswered(raw, 3));
    const payload = Buffer.from([0, 0, 0, code]);
    raw.write({ type: frameTypes.reset, flags: 0, stream: 1, payload });
    raw.request(5, get("/health/live"));
    await until("what follows is answered", () => isAnswered(raw, 5));
    expect(uploads.splice(0)).toEqual(["whole"]);
  },
);

test("one address has as many connections as it may, whatever they speak", async () => {
  const few = await startTls([slow], { maxConnectionsPerAddress: 2 });
  const first = await RawHttp2.connect(few.port, few.root.cert);
  const second = await RawHttp2.connect(few.port, few.root.cert);
  await expect(RawHttp2.connect(few.port, few.root.cert)).rejects.toThrow();
  first.close();
  second.close();
  await few.stop();
});
