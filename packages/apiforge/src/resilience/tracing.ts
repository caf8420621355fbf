import { isSpanContextValid, trace, type Link, type Tracer } from "@opentelemetry/api";

/**
 * The tracer of the OpenTelemetry SDK that this process has registered; undefined without one. Ask
 * once, after the SDK's own start.
 */
export function registeredTracer(): Tracer | undefined {
  const tracer = trace.getTracer("apiforge");
  // Without an SDK its spans belong to no trace. One that is never ended is never exported.
  const probe = tracer.startSpan("probe");
  return isSpanContextValid(probe.spanContext()) ? tracer : undefined;
}

/** The span at work as a W3C `traceparent`; null when there is none, or it is not recorded. */
export function activeTraceparent(): string | null {
  const span = trace.getActiveSpan();
  if (span === undefined || !span.isRecording()) return null;
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

/** The link to a span that {@link activeTraceparent} wrote down; none for null. */
export function linksTo(traceparent: string | null): readonly Link[] {
  if (traceparent === null) return [];
  const [, traceId = "", spanId = "", flags = ""] = traceparent.split("-");
  const traceFlags = Number.parseInt(flags, 16);
  return [{ context: { traceId, spanId, traceFlags, isRemote: true } }];
}
