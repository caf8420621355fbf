import { isSpanContextValid, trace, type Tracer } from "@opentelemetry/api";

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
