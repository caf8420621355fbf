import {
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Span,
  type Tracer,
} from "@opentelemetry/api";

import type { Exchange } from "../exchange.ts";
import type { Outgoing } from "../outgoing.ts";
import type { AnyHandlerContext, Route } from "../route.ts";
import type { Stage } from "../stage.ts";
import { callersSpan } from "./trace-context.ts";

/**
 * The stage that makes a request one server span, named by its route template, under the caller's
 * span when there is one. Attributes are the stable ones of OpenTelemetry's HTTP conventions.
 */
export function traceRequests(tracer: Tracer): Stage {
  function enter(exchange: Exchange): void {
    const { traceparent, headers } = exchange;
    const parent =
      traceparent === undefined
        ? ROOT_CONTEXT
        : trace.setSpanContext(ROOT_CONTEXT, callersSpan(traceparent, headers));
    const name = exchange.route === undefined ? "" : ` ${exchange.route.path}`;
    const options = { kind: SpanKind.SERVER, attributes: requestAttributes(exchange) };
    const span = tracer.startSpan(`${exchange.method}${name}`, options, parent);
    exchange.span = span;
    exchange.traceContext = trace.setSpan(parent, span);
  }

  function leave(exchange: Exchange, { answer: { status }, stream }: Outgoing): void {
    const { span } = exchange;
    if (span === undefined) return;
    span.setAttribute("http.response.status_code", status);
    if (status >= 500) {
      span.setAttribute("error.type", exchange.failureCode ?? String(status));
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    if (stream === undefined) span.end();
    else exchange.reply.raw.once("close", () => span.end());
  }

  return () => ({ enter, leave });
}

function requestAttributes(exchange: Exchange): Attributes {
  const { url, request, route } = exchange;
  const query = url.indexOf("?");
  const { httpVersion } = request.raw;
  const agent = exchange.headers["user-agent"];
  return {
    "http.request.method": exchange.method,
    "url.path": query === -1 ? url : url.slice(0, query),
    "url.scheme": request.protocol,
    "network.protocol.version": httpVersion === "2.0" ? "2" : httpVersion,
    "apiforge.request.id": exchange.id,
    ...(route === undefined ? {} : { "http.route": route.path }),
    ...(agent === undefined ? {} : { "user_agent.original": agent }),
  };
}

/** The backend as a span of its own, from the begin of its transaction to the commit; the handler runs inside of it. */
export function traceBackend(tracer: Tracer, backend: Stage): Stage {
  return function tracedBackend(route) {
    const enter = backend(route === undefined ? undefined : inItsContext(route))?.enter;
    if (route === undefined || enter === undefined) return undefined;
    const attributes = { "apiforge.transaction": route.transaction };
    return {
      async enter(exchange) {
        const outer = exchange.traceContext ?? ROOT_CONTEXT;
        const span = tracer.startSpan("transaction", { attributes }, outer);
        exchange.traceContext = trace.setSpan(outer, span);
        try {
          await context.with(exchange.traceContext, () => enter(exchange));
        } catch (error) {
          failSpan(span, error);
          throw error;
        } finally {
          exchange.traceContext = outer;
          span.end();
        }
      },
    };
  };
}

/** Several requests may share a transaction: each handler is given back its own context. */
function inItsContext(route: Route): Route {
  return {
    ...route,
    handler(handled: AnyHandlerContext) {
      const own = "traceContext" in handled.request ? handled.request.traceContext : undefined;
      return context.with(isContext(own) ? own : ROOT_CONTEXT, () => route.handler(handled));
    },
  };
}

function isContext(value: unknown): value is NonNullable<Exchange["traceContext"]> {
  return typeof value === "object" && value !== null && "getValue" in value;
}

function failSpan(span: Span, error: unknown): void {
  if (error instanceof Error) span.recordException(error);
  span.setStatus({ code: SpanStatusCode.ERROR });
}
