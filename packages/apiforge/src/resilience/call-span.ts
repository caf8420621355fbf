import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";

import { ApiForgeError } from "../kernel/index.ts";

/**
 * Makes a call a client span under the span at work, so that each call that is made has an id of its
 * own; without a span at work it is made as it is. The URL stays out: it may hold a secret.
 */
export function inCallSpan(
  provider: string,
  method: string,
  call: () => Promise<Response>,
): Promise<Response> {
  return trace.getActiveSpan() === undefined ? call() : traced(provider, method, call);
}

async function traced(
  provider: string,
  method: string,
  call: () => Promise<Response>,
): Promise<Response> {
  const attributes = { "http.request.method": method, "peer.service": provider };
  const options = { kind: SpanKind.CLIENT, attributes };
  const span = trace.getTracer("apiforge").startSpan(`${method} ${provider}`, options);
  try {
    const answer = await context.with(trace.setSpan(context.active(), span), call);
    span.setAttribute("http.response.status_code", answer.status);
    if (answer.status >= 400) failWith(String(answer.status));
    return answer;
  } catch (error) {
    failWith(ApiForgeError.is(error) ? error.code : "_OTHER");
    throw error;
  } finally {
    span.end();
  }

  function failWith(type: string): void {
    span.setAttribute("error.type", type);
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
}
