import { context, trace, TraceFlags } from "@opentelemetry/api";
import {
  AlwaysOnSampler,
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
  TraceIdRatioBasedSampler,
  type Sampler,
} from "@opentelemetry/sdk-trace-node";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";

import { defineJob } from "../../src/durable/index.ts";
import { storeFixtures } from "../store/fixtures.ts";
import { actor, Harness, type Node } from "./harness.ts";

const exporter = new InMemorySpanExporter();
let sampler: Sampler = new AlwaysOnSampler();
// Registered before any core is made, as an application's own start-up does.
const provider = new NodeTracerProvider({
  spanProcessors: [new SimpleSpanProcessor(exporter)],
  sampler: { shouldSample: (...of) => sampler.shouldSample(...of), toString: () => "test" },
});
provider.register();
const tracer = trace.getTracer("test");

beforeEach(() => {
  exporter.reset();
  sampler = new AlwaysOnSampler();
});
afterAll(() => provider.shutdown());

const leaf = defineJob("leaf", { input: z.object({}), run: async () => {} });
const root = defineJob("root", {
  input: z.object({}),
  run: (job) => job.complete(async (tx) => void (await tx.enqueue(leaf, {}))),
});

/** Enqueues `count` jobs in a span of their own; answers that span's context. */
async function enqueueIn({ durable }: Node, job: typeof leaf, count = 1) {
  const span = tracer.startSpan("request");
  await context.with(trace.setSpan(context.active(), span), () =>
    durable.transact("enqueue", actor, async (tx) => {
      for (let n = 0; n < count; n += 1) await tx.enqueue(job, {});
    }),
  );
  span.end();
  return span.spanContext();
}

function jobSpans(name: string) {
  return exporter.getFinishedSpans().filter((span) => span.name === `job ${name}`);
}

describe.for(storeFixtures)("the span of an attempt on $name", (fixture) => {
  test("has a trace of its own, linked to the span that the job was enqueued in", async () => {
    await using harness = await Harness.open(fixture);
    const node = await harness.started({ jobs: [root, leaf] });
    const request = await enqueueIn(node, root);
    await harness.idle();
    const [first] = jobSpans("root");
    const [second] = jobSpans("leaf");
    const { traceId, spanId } = request;
    const linked = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
    expect(first?.links.map((link) => link.context)).toEqual([linked]);
    expect(first?.parentSpanContext).toBeUndefined();
    expect(first?.spanContext().traceId).not.toBe(traceId);
    // A job that enqueues another is where that one comes from.
    expect(second?.links.map((link) => link.context)).toMatchObject([
      { traceId: first?.spanContext().traceId, spanId: first?.spanContext().spanId },
    ]);
  });

  test("is linked for each of many jobs of one commit", async () => {
    await using harness = await Harness.open(fixture);
    const node = await harness.started({ jobs: [leaf] });
    const { spanId } = await enqueueIn(node, leaf, 30);
    await harness.idle();
    const linked = jobSpans("leaf").map((span) => span.links.map((link) => link.context.spanId));
    expect(linked).toEqual(Array.from({ length: 30 }, () => [spanId]));
  });

  test("has no link where no span was recorded, and nothing is stored", async () => {
    await using harness = await Harness.open(fixture);
    const node = harness.node({ jobs: [leaf] });
    await node.durable.transact("no span", actor, (tx) => tx.enqueue(leaf, {}));
    sampler = new TraceIdRatioBasedSampler(0);
    await enqueueIn(node, leaf);
    sampler = new AlwaysOnSampler();
    const { rows } = await harness.store.read("jobs", (runner) =>
      runner.queryText("select traceparent from forge_jobs", []),
    );
    expect(rows).toEqual([{ traceparent: null }, { traceparent: null }]);
    await harness.started({ jobs: [leaf] });
    expect(jobSpans("leaf").map(({ links }) => links)).toEqual([[], []]);
  });
});
