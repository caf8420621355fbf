import type { ServerResponse } from "node:http";

import type { Exchange } from "../exchange.ts";
import { http2ResponseOf } from "../http2/http2-response.ts";
import { plainAnswer, type Outgoing } from "../outgoing.ts";
import type { Failure } from "../problem.ts";
import type { SelfWritten } from "../relay.ts";
import { connectEnd } from "./connect-end.ts";
import { connectTypeOf, grpcFormOf, isConnect, lastFrame, type GrpcForm } from "./form.ts";
import { grpcMessage, grpcStatusOf } from "./status.ts";

/**
 * A refusal as callers of gRPC understand it, whatever answers: status 200, and the reason in the
 * trailer; by Connect an error of its own. Undefined for a request that is no call.
 */
export function grpcRefusal(
  failure: Failure,
  isRetryable: boolean,
  exchange: Exchange,
): Outgoing | undefined {
  const form = grpcFormOf(exchange);
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
    if (isConnect(form)) trailer.push("retry-after", String(retryAfterSeconds));
    else trailer.push("grpc-retry-pushback-ms", String(retryAfterSeconds * 1_000));
  }
  return form === "connect" ? connectRefusal(trailer) : trailersOnly(form, trailer);
}

/** An answer without a message. @param trailer flat, as `[name, value, …]`. */
function trailersOnly(form: GrpcForm, trailer: readonly string[]): Outgoing {
  const selfWritten: SelfWritten = {
    write(response, headers, isLast) {
      const head = [...headers, "content-type", typeOf(form, response)];
      const http2 = http2ResponseOf(response);
      if (form === "grpc" && http2 !== undefined) return http2.endWithHead([...head, ...trailer]);
      writeWhole(response, 200, head, lastFrame(trailer, form), isLast);
    },
  };
  return { ...plainAnswer(200), selfWritten };
}

function typeOf(form: GrpcForm, { req }: ServerResponse): string {
  if (form === "connect-stream") return connectTypeOf(req);
  return form === "grpc" ? "application/grpc" : `application/${form}+proto`;
}

/** To a call of one message, which has a status of HTTP. */
function connectRefusal(trailer: readonly string[]): Outgoing {
  const { status, error, metadata } = connectEnd(trailer);
  const selfWritten: SelfWritten = {
    write(response, headers, isLast) {
      const head = [...headers, ...metadata, "content-type", "application/json"];
      writeWhole(response, status, head, Buffer.from(JSON.stringify(error)), isLast);
    },
  };
  return { ...plainAnswer(status), selfWritten };
}

/** Writes an answer that is known to its end. @param head flat, without the length. */
export function writeWhole(
  response: ServerResponse,
  status: number,
  head: readonly string[],
  body: Buffer,
  isLast: boolean,
): void {
  const fields = [...head, "content-length", String(body.length)];
  if (isLast || !response.req.complete) fields.push("connection", "close");
  response.writeHead(status, fields).end(body);
}
