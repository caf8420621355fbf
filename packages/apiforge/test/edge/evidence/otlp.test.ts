import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { createForge, type Forge } from "../../../src/app/index.ts";
import { defineJob } from "../../../src/durable/index.ts";
import { defineRoute } from "../../../src/edge/index.ts";
import { silentLog } from "../../../src/kernel/index.ts";

/** A span as OTLP/HTTP carries it in JSON (opentelemetry.io, "OTLP Specification"). */
interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly { readonly key: string; readonly value: object }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
}

interface OtlpExport {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

const received: OtlpSpan[] = [];
const collector = createServer((request, response) => {
  void json(request).then((body) => {
    const { resourceSpans } = body as OtlpExport;
    for (const { scopeSpans } of resourceSpans)
      for (const { spans } of scopeSpans) received.push(...spans);
    response.setHeader("content-type", "application/json").end("{}");
  });
});

let provider: NodeTracerProvider;
let forge: Forge;
let url: string;
const dataDir = mkdtempSync(join(tmpdir(), "apiforge-otlp-"));
const ran = Promise.withResolvers<void>();

const mail = defineJob("mail", { input: z.object({}), run: async () => ran.resolve() });
const write = defineRoute({
  method: "POST",
  path: "/letters/:id",
  auth: "none",
  replies: { 202: null },
  handler: async ({ tx }) => {
    await tx.enqueue(mail, {});
    return { status: 202 };
  },
});

beforeAll(async () => {
  collector.listen(0, "127.0.0.1");
  await once(collector, "listening");
  const address = collector.address();
  const port = typeof address === "object" ? address?.port : 0;
  const exporter = new OTLPTraceExporter({ url: `http://127.0.0.1:${port}/v1/traces` });
  provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
  provider.register();
  const config = { dataDir, port: 0, databaseUrl: undefined };
  forge = await createForge({ routes: [write], jobs: [mail] }, { config, log: silentLog });
  ({ url } = await forge.listen());
});
afterAll(async () => {
  await forge.stop();
  await provider.shutdown();
  collector.close();
  rmSync(dataDir, { recursive: true });
});

test("a collector is told of request, transaction and job, the job linked to the transaction", async () => {
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
  const answer = await fetch(`${url}/letters/1`, { method: "POST", headers: { traceparent } });
  expect(answer.status).toBe(202);
  await ran.promise;
  // The attempt's span ends after its handler; stopping waits for it.
  await forge.stop();
  await provider.forceFlush();
  const named = (name: string) => received.filter((span) => span.name === name);
  const [request] = named("POST /letters/:id");
  const [transaction] = named("transaction");
  const [job] = named("job mail");
  expect(request).toMatchObject({ traceId, parentSpanId: "00f067aa0ba902b7", kind: 2 });
  expect(transaction).toMatchObject({ traceId, parentSpanId: request?.spanId });
  expect(job).toMatchObject({ kind: 5, links: [{ traceId, spanId: transaction?.spanId }] });
  expect(job?.parentSpanId).toBeUndefined();
  const requestId = answer.headers.get("x-request-id");
  for (const span of [request, job]) {
    expect(span?.attributes).toContainEqual({
      key: "apiforge.request.id",
      value: { stringValue: requestId },
    });
  }
});
