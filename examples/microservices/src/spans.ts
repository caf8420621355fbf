import {
  context,
  propagation,
  SpanKind,
  SpanStatusCode,
  trace,
  type TextMapGetter,
} from "@opentelemetry/api";

const tracer = trace.getTracer("@apiforge/example-microservices");

/** Runs `work` in a span of the trace that the caller's `traceparent` names. */
export async function served<Carrier, T>(
  name: string,
  carrier: Carrier,
  getter: TextMapGetter<Carrier>,
  work: () => Promise<T>,
): Promise<T> {
  const parent = propagation.extract(context.active(), carrier, getter);
  return tracer.startActiveSpan(name, { kind: SpanKind.SERVER }, parent, async (span) => {
    try {
      return await work();
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Headers that hand the current trace on. */
export function traceHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  return headers;
}
