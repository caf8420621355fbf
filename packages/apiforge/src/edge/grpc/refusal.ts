import type { ServerResponse } from "node:http";

import type { Exchange } from "../exchange.ts";
import { http2ResponseOf } from "../http2/http2-response.ts";
import { plainAnswer, type Outgoing } from "../outgoing.ts";
import type { Failure } from "../problem.ts";
import type { SelfWritten } from "../relay.ts";
import { grpcFormOf, webTrailer, type GrpcForm } from "./form.ts";
import { grpcMessage, grpcStatusOf } from "./status.ts";

/**
 * A refusal as callers of gRPC understand it, whatever answers: status 200, and the reason in the
 * trailer. Undefined for a request that is no call of gRPC.
 */
export function grpcRefusal(
  failure: Failure,
  isRetryable: boolean,
  exchange: Exchange,
): Outgoing | undefined {
  const form = grpcFormOf(exchange.request.raw);
  if (form === undefined) return undefined;
  // What failed before the first stage has none yet.
  exchange.putHeader("x-request-id", exchange.id);
  const { status, message, code, retryAfterSeconds } = failure;
  const trailer = [
    "grpc-status",
    String(grpcStatusOf(status, isRetryable)),
    "grpc-message",
    grpcMessage(message),
    "apiforge-error",
    code,
  ];
  if (retryAfterSeconds !== undefined) {
    trailer.push("grpc-retry-pushback-ms", String(retryAfterSeconds * 1_000));
  }
  return { ...plainAnswer(200), selfWritten: trailersOnly(form, trailer) };
}

/** An answer without a message. @param trailer flat, as `[name, value, …]`. */
export function trailersOnly(form: GrpcForm, trailer: readonly string[]): SelfWritten {
  return {
    write(response: ServerResponse, headers: readonly string[], isLast: boolean) {
      const contentType = form === "grpc" ? "application/grpc" : `application/${form}+proto`;
      const head = [...headers, "content-type", contentType];
      const http2 = http2ResponseOf(response);
      if (form === "grpc" && http2 !== undefined) return http2.endWithHead([...head, ...trailer]);
      const body = webTrailer(trailer, form);
      head.push("content-length", String(body.length));
      if (isLast || !response.req.complete) head.push("connection", "close");
      response.writeHead(200, head).end(body);
    },
  };
}
