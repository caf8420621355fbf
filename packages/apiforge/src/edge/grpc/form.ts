import type { IncomingMessage } from "node:http";

const forms = ["grpc", "grpc-web", "grpc-web-text"] as const;

/** How a call of gRPC is written: in HTTP/2, or for browsers in any HTTP, as bytes or as base64. */
export type GrpcForm = (typeof forms)[number];

const contentTypes = /^application\/(grpc|grpc-web|grpc-web-text)(?:[+;]|$)/i;

/** The form of a call; undefined for a request that is none. */
export function grpcFormOf({ headers, httpVersionMajor }: IncomingMessage): GrpcForm | undefined {
  const [, name = ""] = contentTypes.exec(headers["content-type"] ?? "") ?? [];
  const form = forms.find((each) => each === name.toLowerCase());
  return form === "grpc" && httpVersionMajor !== 2 ? undefined : form;
}

const trailerFlag = 0x80;

/** The trailer of an answer to a browser, which sees none of HTTP: the last frame of its body (grpc/grpc, doc/PROTOCOL-WEB.md). */
export function webTrailer(fields: readonly string[], form: GrpcForm): Buffer {
  const lines: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    lines.push(`${(fields[index] ?? "").toLowerCase()}: ${fields[index + 1] ?? ""}\r\n`);
  }
  const text = Buffer.from(lines.join(""), "latin1");
  const frame = Buffer.alloc(5 + text.length);
  frame.writeUInt8(trailerFlag, 0);
  frame.writeUInt32BE(text.length, 1);
  text.copy(frame, 5);
  return webPiece(frame, form);
}

/** A piece of an answer's body as its form has it; each piece of base64 is padded for itself. */
export function webPiece(piece: Buffer, form: GrpcForm): Buffer {
  return form === "grpc-web-text" ? Buffer.from(piece.toString("base64"), "latin1") : piece;
}
