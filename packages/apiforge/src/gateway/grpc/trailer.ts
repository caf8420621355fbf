import { constants } from "node:http2";

import { grpcMessage, grpcStatus } from "../../edge/index.ts";
import { endsHere } from "../headers/hop-by-hop.ts";

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_REFUSED_STREAM } = constants;

/** Fields without those of HTTP/2's own and of this hop. */
export function passedOn(raw: readonly string[]): string[] {
  const fields: string[] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? "";
    if (!name.startsWith(":") && !endsHere(name)) fields.push(name, raw[index + 1] ?? "");
  }
  return fields;
}

const ofStatus: ReadonlySet<string> = new Set([
  "grpc-message",
  "grpc-status",
  "grpc-status-details-bin",
]);

/** True for the trailer of a call that ended as its server meant. */
export function hasStatus(fields: readonly string[]): boolean {
  return fields.some((name, index) => index % 2 === 0 && name.toLowerCase() === "grpc-status");
}

/** The fields of a status, and the others. */
export function parted(fields: readonly string[]): [string[], string[]] {
  const parts: [string[], string[]] = [[], []];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? "";
    parts[ofStatus.has(name.toLowerCase()) ? 0 : 1].push(name, fields[index + 1] ?? "");
  }
  return parts;
}

/** A status of ours. */
export function statusFields(status: number, message: string): string[] {
  return ["grpc-status", String(status), "grpc-message", grpcMessage(message)];
}

/** What a stream that ended without a status says (grpc/grpc, doc/PROTOCOL-HTTP2.md, "Errors"). */
export function ofReset(code: number): string[] {
  const message = "The service behind this route broke off its answer";
  const { cancelled, internal, resourceExhausted, unavailable } = grpcStatus;
  if (code === NGHTTP2_CANCEL) return statusFields(cancelled, message);
  if (code === NGHTTP2_REFUSED_STREAM) return statusFields(unavailable, message);
  if (code === NGHTTP2_ENHANCE_YOUR_CALM) return statusFields(resourceExhausted, message);
  return statusFields(internal, message);
}
