import { framed } from "./framed.ts";
import { statusDetails, type StatusDetail } from "./status-details.ts";
import { messageOf } from "./status.ts";

/** How a call ended, as Connect tells it. */
export interface ConnectEnd {
  /** Of a unary call's answer. */
  readonly status: number;
  /** Undefined for a call that went well. */
  readonly error: ConnectError | undefined;
  /** The rest of the trailer, flat as `[name, value, …]`, names in lower case. */
  readonly metadata: readonly string[];
}

/** The JSON of an error (connectrpc.com/docs/protocol, "Error and EndStreamResponse"). */
export interface ConnectError {
  readonly code: string;
  readonly message?: string | undefined;
  readonly details?: readonly StatusDetail[] | undefined;
}

// By their number in gRPC, each with the status of a unary call's answer (the same, "Error Codes").
const codes: readonly (readonly [code: string, status: number])[] = [
  ["ok", 200],
  ["canceled", 499],
  ["unknown", 500],
  ["invalid_argument", 400],
  ["deadline_exceeded", 504],
  ["not_found", 404],
  ["already_exists", 409],
  ["permission_denied", 403],
  ["resource_exhausted", 429],
  ["failed_precondition", 400],
  ["aborted", 409],
  ["out_of_range", 400],
  ["unimplemented", 501],
  ["internal", 500],
  ["unavailable", 503],
  ["data_loss", 500],
  ["unauthenticated", 401],
];
const unknown = ["unknown", 500] as const;
const endFlag = 0x02;

/** What a trailer of gRPC says; one without a status that is known says `unknown`. @param trailer flat, as `[name, value, …]`. */
export function connectEnd(trailer: readonly string[]): ConnectEnd {
  let [number, message, details]: (string | undefined)[] = [];
  const metadata: string[] = [];
  for (let index = 0; index < trailer.length; index += 2) {
    const name = trailer[index]?.toLowerCase() ?? "";
    const value = trailer[index + 1] ?? "";
    if (name === "grpc-status") number = value;
    else if (name === "grpc-message") message = value;
    else if (name === "grpc-status-details-bin") details = value;
    else metadata.push(name, value);
  }
  const [code, status] = codes[/^\d{1,2}$/.test(number ?? "") ? Number(number) : -1] ?? unknown;
  if (status === codes[0]?.[1]) return { status, error: undefined, metadata };
  const told = details === undefined ? [] : statusDetails(details);
  const error = {
    code,
    message: message === undefined ? undefined : messageOf(message),
    details: told.length === 0 ? undefined : told,
  };
  return { status, error, metadata };
}

/** The end of a stream of messages: its last envelope. */
export function endEnvelope(trailer: readonly string[]): Buffer {
  const { error, metadata } = connectEnd(trailer);
  const named = new Map<string, string[]>();
  for (let index = 0; index < metadata.length; index += 2) {
    const name = metadata[index] ?? "";
    const values = named.get(name) ?? [];
    values.push(metadata[index + 1] ?? "");
    named.set(name, values);
  }
  const told = named.size === 0 ? undefined : Object.fromEntries(named);
  return framed(endFlag, Buffer.from(JSON.stringify({ error, metadata: told })));
}
