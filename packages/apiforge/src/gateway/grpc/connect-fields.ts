import type { IncomingHttpHeaders } from "node:http";

import type { GrpcForm } from "../../edge/index.ts";
import { acceptsCoding } from "../headers/accepts-coding.ts";

/** The only coding of a body that is also one of a message. */
const gzip = "gzip";
const perStream: Readonly<Record<string, string>> = {
  "connect-content-encoding": "grpc-encoding",
  "connect-accept-encoding": "grpc-accept-encoding",
};
// A message has its coding by gRPC's names.
const ofBody: ReadonlySet<string> = new Set(["content-encoding", "accept-encoding"]);

/** The coding of a call's body that no message of gRPC can have; undefined where there is none. */
export function refusedCoding(headers: IncomingHttpHeaders, form: GrpcForm): string | undefined {
  const coding = codingOf(headers);
  const passes = coding === "identity" || (coding === gzip && form === "connect");
  return passes ? undefined : coding;
}

/** True for a body of one message that is compressed. */
export function isCompressed(headers: IncomingHttpHeaders): boolean {
  return codingOf(headers) === gzip;
}

/** True where the answer's one message may be compressed; who does not say can read what it sends. */
export function takesCompressed(headers: IncomingHttpHeaders): boolean {
  const accepted = headers["accept-encoding"];
  return accepted === undefined ? isCompressed(headers) : acceptsCoding(accepted, gzip);
}

function codingOf(headers: IncomingHttpHeaders): string {
  return headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
}

/** The fields of a call by Connect as gRPC has them, without its deadline. @param passed flat, names in lower case. */
export function grpcFields(
  passed: readonly string[],
  headers: IncomingHttpHeaders,
  form: GrpcForm,
): string[] {
  const fields: string[] = [];
  for (let index = 0; index < passed.length; index += 2) {
    const name = passed[index] ?? "";
    const value = passed[index + 1] ?? "";
    if (name === "content-type") fields.push(name, grpcType(value));
    else if (name in perStream && form === "connect-stream") {
      fields.push(perStream[name] ?? name, value);
    } else if (!isOfProtocol(name) && !ofBody.has(name)) fields.push(name, value);
  }
  if (form === "connect" && isCompressed(headers)) fields.push("grpc-encoding", gzip);
  if (form === "connect" && takesCompressed(headers)) fields.push("grpc-accept-encoding", gzip);
  return fields;
}

/** Names that one of both protocols keeps for itself. */
function isOfProtocol(name: string): boolean {
  return name.startsWith("connect-") || name.startsWith("grpc-");
}

function grpcType(contentType: string): string {
  return `application/grpc+${codecOf(contentType)}`;
}

/** How messages are written: `proto` or `json`. */
function codecOf(contentType: string): string {
  return /(proto|json)\s*(?:;|$)/i.exec(contentType)?.[1]?.toLowerCase() ?? "";
}

/** Said where {@link isWrittenAs} is false. */
export const otherCodec =
  "The service behind this route does not answer in the form that it was called in";
const grpcTypes = /^application\/grpc(?:\+([\w.-]+))?\s*(?:;|$)/i;

/** True where the messages of an answer by gRPC are written as those of the call by Connect. @param contentType of the call. */
export function isWrittenAs(contentType: string, answered: string): boolean {
  const found = grpcTypes.exec(answered);
  return found !== null && (found[1] ?? "proto").toLowerCase() === codecOf(contentType);
}

/** The head of an answer by gRPC as Connect has it. @param headers flat, without those of a status. */
export function connectHead(
  headers: readonly string[],
  form: GrpcForm,
  contentType: string,
): string[] {
  const isStream = form === "connect-stream";
  const fields: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? "";
    const value = headers[index + 1] ?? "";
    const lowerCase = name.toLowerCase();
    if (lowerCase === "grpc-encoding") {
      if (isStream) fields.push("connect-content-encoding", value);
    } else if (lowerCase === "grpc-accept-encoding") {
      fields.push(isStream ? "connect-accept-encoding" : "accept-encoding", value);
    } else if (lowerCase === "content-type" || lowerCase === "content-encoding") continue;
    else if (!lowerCase.startsWith("connect-")) fields.push(name, value);
  }
  fields.push("content-type", contentType);
  return fields;
}
