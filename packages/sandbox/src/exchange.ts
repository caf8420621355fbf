import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";

/** Largest request body that the sandbox reads, in bytes. */
export const maxBodyBytes = 1_048_576;

/** A request with its body read. */
export interface ReceivedRequest {
  readonly method: string;
  /** Path without the query. */
  readonly path: string;
  /** What stands behind the `?`; empty without one. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What goes back over the wire. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A `text/plain` answer. */
export function textAnswer(status: number, body: string): Answer {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body };
}

/** A JSON answer. */
export function jsonAnswer(status: number, value: unknown): Answer {
  const body = `${JSON.stringify(value, null, 2)}\n`;
  return { status, headers: { "content-type": "application/json; charset=utf-8" }, body };
}

/** The whole request, or undefined when its body exceeds {@link maxBodyBytes}. */
export async function readRequest(request: IncomingMessage): Promise<ReceivedRequest | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  // The rest of a body that is too large is read and dropped: a client that is still sending
  // would see a broken connection in place of the answer.
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes <= maxBodyBytes) chunks.push(chunk);
  }
  if (sizeBytes > maxBodyBytes) return undefined;
  const { path, query } = splitTarget(request.url ?? "/");
  const body = Buffer.concat(chunks).toString("utf8");
  return { method: request.method ?? "GET", path, query, headers: request.headers, body };
}

function splitTarget(target: string): { path: string; query: string } {
  const at = target.indexOf("?");
  return at === -1
    ? { path: target, query: "" }
    : { path: target.slice(0, at), query: target.slice(at + 1) };
}

/** Writes an answer to its end. */
export function sendAnswer(response: ServerResponse, answer: Answer): void {
  const length = { "content-length": Buffer.byteLength(answer.body) };
  const headers = answer.status === 204 ? answer.headers : { ...answer.headers, ...length };
  response.writeHead(answer.status, headers).end(answer.body);
}
