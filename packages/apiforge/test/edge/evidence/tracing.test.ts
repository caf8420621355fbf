import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-node";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute } from "../../../src/edge/index.ts";
import { CallersState } from "../../../src/edge/evidence/callers-state.ts";
import { callProvider } from "../../../src/resilience/index.ts";
import { startHarness, type Harness } from "../edge-harness.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const callersSpanId = "00f067aa0ba902b7";
const exporter = new InMemorySpanExporter();
// Registered before any edge is made, as an application's own start-up does.
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
provider.register();

let harness: Harness;
let providerUrl: string;
let sent: IncomingHttpHeaders[] = [];
const sink = createServer((request, response) => {
  sent.push(request.headers);
  response.end("{}");
});

const calling = defineRoute({
  method: "POST",
  path: "/calling/:id",
  auth: "none",
  replies: { 200: z.object({}) },
  handler: async () => {
    await callProvider(
      providerUrl,
      { method: "POST" },
      { provider: "Sink", timeoutMs: 5_000, maxBodyBytes: 100 },
    );
    return { status: 200, body: {} };
  },
});
const failing = defineRoute({
  method: "GET",
  path: "/failing",
  auth: "none",
  replies: { 200: z.object({}) },
  handler: () => {
    throw new Error("broken");
  },
});

beforeAll(async () => {
  sink.listen(0, "127.0.0.1");
  await once(sink, "listening");
  const address = sink.address();
  providerUrl = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`;
  harness = await startHarness([calling, failing], { accessLog: {} });
});
beforeEach(() => {
  exporter.reset();
  sent = [];
});
afterEach(() => {
  harness.lines.length = 0;
});
afterAll(async () => {
  await harness.stop();
  sink.close();
  await provider.shutdown();
});

function post(headers: Record<string, string> = {}) {
  return harness.edge.inject({ method: "POST", url: "/calling/1?secret=2", headers });
}

function spans() {
  return exporter.getFinishedSpans();
}

test("a request is one server span by its route template, with its transaction and calls under it", async () => {
  await post({ "x-request-id": "req_7", "user-agent": "curl/8" });
  const [call, transaction, server] = spans();
  expect(call).toMatchObject({
    name: "POST Sink",
    kind: SpanKind.CLIENT,
    parentSpanContext: { spanId: transaction?.spanContext().spanId },
    attributes: {
      "http.request.method": "POST",
      "peer.service": "Sink",
      "http.response.status_code": 200,
    },
  });
  expect(server).toMatchObject({
    name: "POST /calling/:id",
    kind: SpanKind.SERVER,
    parentSpanContext: undefined,
    attributes: {
      "http.request.method": "POST",
      "http.route": "/calling/:id",
      "http.response.status_code": 200,
      "url.path": "/calling/1",
      "url.scheme": "http",
      "user_agent.original": "curl/8",
      "apiforge.request.id": "req_7",
    },
  });
  expect(transaction).toMatchObject({
    name: "transaction",
    parentSpanContext: { spanId: server?.spanContext().spanId },
  });
  expect(harness.lines.at(-1)?.fields["traceId"]).toBe(server?.spanContext().traceId);
});

test("status 5xx is an error of the span", async () => {
  await harness.edge.inject({ url: "/failing" });
  expect(spans().at(-1)).toMatchObject({
    status: { code: SpanStatusCode.ERROR },
    attributes: { "error.type": "internal_error", "http.response.status_code": 500 },
  });
});

test("the caller's trace goes on, and outgoing calls carry it, each under a span of its own", async () => {
  await post({ traceparent: `00-${traceId}-${callersSpanId}-01`, tracestate: "a=1, b=2" });
  const [call, , server] = spans();
  expect(server?.parentSpanContext).toMatchObject({ traceId, spanId: callersSpanId });
  const spanId = call?.spanContext().spanId;
  expect(sent).toMatchObject([
    { traceparent: `00-${traceId}-${spanId}-01`, tracestate: "a=1,b=2" },
  ]);
});

test("requests that share a transaction keep their own traces", async () => {
  const ids = Array.from({ length: 20 }, (_, n) => `${n}`.padStart(32, "a"));
  await Promise.all(ids.map((id) => post({ traceparent: `00-${id}-${callersSpanId}-01` })));
  expect(sent.map(({ traceparent }) => String(traceparent).slice(3, 35)).toSorted()).toEqual(
    ids.toSorted(),
  );
});

describe("W3C Trace Context", () => {
  test.for([
    ["two traceparents", `00-${traceId}-${callersSpanId}-01, 00-${traceId}-${callersSpanId}-01`],
    ["zeros", `00-${"0".repeat(32)}-${callersSpanId}-01`],
    ["version ff", `ff-${traceId}-${callersSpanId}-01`],
    ["upper case", `00-${traceId.toUpperCase()}-${callersSpanId}-01`],
    ["more than version 00 has", `00-${traceId}-${callersSpanId}-01-more`],
  ])("%s begins a trace, without the state", async ([, traceparent = ""]) => {
    await post({ traceparent, tracestate: "a=1" });
    expect(sent[0]?.["traceparent"]).not.toContain(traceId);
    expect(sent[0]?.["tracestate"]).toBeUndefined();
  });

  test("of a later version the first 55 characters count, and it is sent as ours", async () => {
    await post({ traceparent: `cc-${traceId}-${callersSpanId}-01-what-the-future-brings` });
    expect(sent[0]?.["traceparent"]).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
  });

  test("a state against the rules is dropped, the trace goes on", async () => {
    await post({ traceparent: `00-${traceId}-${callersSpanId}-01`, tracestate: "a=1,B=2" });
    expect(sent[0]?.["traceparent"]).toContain(traceId);
    expect(sent[0]?.["tracestate"]).toBeUndefined();
  });

  const many = (members: number) => Array.from({ length: members }, (_, n) => `k${n}=1`).join();

  test.for([
    ["a=1", "a=1"],
    ["a=1, ,b=2\t", "a=1,b=2"],
    ["fw529a3039@dt=FfAfQ", "fw529a3039@dt=FfAfQ"],
    ["1@2@=x,b=2", "1@2@=x,b=2"],
    ["a=1,b=2,a=3", "a=1,b=2"],
    ["", undefined],
    ["A=1", undefined],
    ["@a=1,b=2", undefined],
    ["a", undefined],
    ["a=", undefined],
    [many(32), many(32)],
    [many(33), undefined],
  ] as const)("the state %j is sent as %j", async ([state, sentOn]) => {
    await post({ traceparent: `00-${traceId}-${callersSpanId}-01`, tracestate: state });
    expect(sent[0]?.["tracestate"]).toBe(sentOn);
  });

  test("a state is changed by whoever samples, and the change comes first", () => {
    const state = new CallersState(new Map(Object.entries({ a: "1", b: "2" })));
    const changed = state.set("b", "3").set("c", "4").unset("a");
    expect(changed.serialize()).toBe("c=4,b=3");
    expect(changed.get("b")).toBe("3");
    expect(state.serialize()).toBe("a=1,b=2");
  });
});
