import {
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";

import { linksTo } from "../../resilience/index.ts";
import type { ClaimedJob } from "../../store/index.ts";

/**
 * Runs `work` as a span of its own trace, which may begin long after: it is linked to the span that
 * the job was enqueued in.
 */
export async function inAttemptSpan<T>(
  tracer: Tracer,
  job: ClaimedJob,
  work: () => Promise<T>,
): Promise<T> {
  const attributes = {
    "messaging.system": "apiforge",
    "messaging.destination.name": job.queue,
    "messaging.message.id": job.id,
    "apiforge.job.type": job.type,
    "apiforge.job.attempt": job.attempt,
    // Of the request that left the job behind: its span has the same.
    "apiforge.request.id": job.requestId,
  };
  const links = [...linksTo(job.traceparent)];
  const options = { kind: SpanKind.CONSUMER, attributes, links };
  const span = tracer.startSpan(`job ${job.type}`, options, ROOT_CONTEXT);
  try {
    return await context.with(trace.setSpan(ROOT_CONTEXT, span), work);
  } catch (error) {
    if (error instanceof Error) span.recordException(error);
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}
