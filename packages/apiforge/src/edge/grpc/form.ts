import type { IncomingMessage } from "node:http";

import type { Exchange } from "../exchange.ts";
import { endEnvelope } from "./connect-end.ts";
import { framed } from "./framed.ts";

const forms = ["grpc", "grpc-web", "grpc-web-text"] as const;

/**
 * How a call is written: by gRPC in HTTP/2, or for browsers in any HTTP, as bytes or as base64; by Connect's own
 * protocol as one message each way, which is all of the body, or as a stream of them.
 */
export type GrpcForm = (typeof forms)[number] | "connect" | "connect-stream";

const grpcTypes = /^application\/(grpc|grpc-web|grpc-web-text)(?:[+;]|$)/i;
const connectTypes = /^application\/(connect\+)?(?:proto|json)\s*(?:;|$)/i;

/** The form of a call; undefined for a request that is none. */
export function grpcFormOf(exchange: Pick<Exchange, "request" | "route">): GrpcForm | undefined {
  const { headers, httpVersionMajor } = exchange.request.raw;
  const [, name] = grpcTypes.exec(headers["content-type"] ?? "") ?? [];
  if (name === undefined) return connectFormOf(exchange);
  const form = forms.find((each) => each === name.toLowerCase());
  return form === "grpc" && httpVersionMajor !== 2 ? undefined : form;
}

/** A single message looks like any JSON: its route tells, or the field that generated clients send. */
function connectFormOf({
  request: { raw },
  route,
}: Pick<Exchange, "request" | "route">): GrpcForm | undefined {
  const found = connectTypes.exec(raw.headers["content-type"] ?? "");
  if (found === null) return undefined;
  if (found[1] !== undefined) return "connect-stream";
  const isCall = route?.relay?.takesCalls === true || "connect-protocol-version" in raw.headers;
  return isCall ? "connect" : undefined;
}

/** True where Connect's own protocol is spoken. */
export function isConnect(form: GrpcForm): form is "connect" | "connect-stream" {
  return form === "connect" || form === "connect-stream";
}

/** The content type of a call by Connect, which is that of its messages both ways. */
export function connectTypeOf({ headers }: IncomingMessage): string {
  const [type = ""] = (headers["content-type"] ?? "").split(";", 1);
  return type.trim().toLowerCase();
}

const trailerFlag = 0x80;

/**
 * The trailer of an answer whose form has no place for it in HTTP: the last frame of its body (grpc/grpc,
 * doc/PROTOCOL-WEB.md; connectrpc.com/docs/protocol).
 */
export function lastFrame(fields: readonly string[], form: GrpcForm): Buffer {
  if (form === "connect-stream") return endEnvelope(fields);
  const lines: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    lines.push(`${(fields[index] ?? "").toLowerCase()}: ${fields[index + 1] ?? ""}\r\n`);
  }
  return webPiece(framed(trailerFlag, Buffer.from(lines.join(""), "latin1")), form);
}

/** A piece of an answer's body as its form has it; each piece of base64 is padded for itself. */
export function webPiece(piece: Buffer, form: GrpcForm): Buffer {
  return form === "grpc-web-text" ? Buffer.from(piece.toString("base64"), "latin1") : piece;
}
