import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

import { newId, type ApiForgeError } from "../kernel/index.ts";
import { edgeError } from "./errors.ts";
import { STATUS_CODES } from "./node-http.ts";
import { preferredForm, renderFailure, toFailure } from "./problem.ts";
import { requestId } from "./stages/correlate.ts";

const answered = new WeakSet<Socket>();
const tlsErrors = /^(?:ERR_SSL_|ERR_TLS_|EPROTO$)/;

/** Whatever else `socket` brings is not answered: the answer that is under way is its last. */
export function ignoreRestOf(socket: Socket): void {
  answered.add(socket);
}

/** Answers bytes that are not an HTTP request that Node can read, and closes the connection. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  // Node reads on behind a head that was refused, and may find that it cannot.
  if (answered.has(socket)) return;
  // A connection whose TLS has failed carries no answer, and Node leaves it open after a slow handshake.
  if (tlsErrors.test(error.code ?? "")) {
    socket.destroy();
    return;
  }
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy(error);
    return;
  }
  answerOn(socket, clientError(error.code));
}

/** Answers `error` on a connection that no request stands for, and ends it. */
export function answerOn(socket: Socket, error: ApiForgeError): void {
  const id = newId("req");
  const failure = toFailure(error);
  const body = renderFailure(failure, id, "application/json");
  const lines = [
    `HTTP/1.1 ${failure.status} ${STATUS_CODES[failure.status] ?? "Error"}`,
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Cache-Control: no-store",
    `X-Request-Id: ${id}`,
    "Connection: close",
  ];
  if (failure.retryAfterSeconds !== undefined) {
    lines.push(`Retry-After: ${failure.retryAfterSeconds}`);
  }
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
}

// Codes of Node's parser: nodejs.org/api/http.html, event clientError.
const parserErrors: Readonly<Record<string, () => ApiForgeError>> = {
  HPE_HEADER_OVERFLOW: () =>
    edgeError("headers_too_large", "The request's header section is too large"),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: () =>
    edgeError("body_too_large", "The chunk extensions of the body are too large"),
  ERR_HTTP_REQUEST_TIMEOUT: () =>
    edgeError("request_timeout", "The request did not arrive in time"),
};

function clientError(code = ""): ApiForgeError {
  return parserErrors[code]?.() ?? edgeError("malformed_request", "The request is not valid HTTP");
}

/** Answers an `Expect` other than `100-continue`, which Node would refuse without a body. */
export function answerExpectation(request: IncomingMessage, response: ServerResponse): void {
  refuse(request, response, "expectation_failed", "The only expectation met here is 100-continue");
}

/** Answers a CONNECT of HTTP/2, which Node would refuse without a body; one of HTTP/1.1 it closes. */
export function refuseConnect(request: IncomingMessage, response: ServerResponse): void {
  refuse(request, response, "method_not_allowed", "No path answers CONNECT");
}

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  code: "expectation_failed" | "method_not_allowed",
  message: string,
): void {
  const id = requestId(request);
  const form = preferredForm(request.headers.accept);
  const failure = toFailure(edgeError(code, message));
  const body = renderFailure(failure, id, form);
  response.writeHead(failure.status, {
    "content-length": Buffer.byteLength(body),
    "content-type": `${form}; charset=utf-8`,
    "cache-control": "no-store",
    "x-request-id": id,
    connection: "close",
  });
  response.end(body);
}
