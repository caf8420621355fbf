import type { IncomingMessage } from "node:http";

import type { ApiForgeError } from "../../kernel/index.ts";
import { edgeError } from "../errors.ts";
import { http2RequestOf } from "../http2/http2-request.ts";
import { maxHeaderSize } from "../node-http.ts";

/** Most header lines of a request; more are answered with `headers_too_large`. */
const maxHeaders = 100;

// RFC 9112 section 3.2: uri-host with an optional port; empty where the target has no authority.
const hostValue = /^(?:\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::\d{0,5})?$/i;
let lastHost = "";

/**
 * Checks of a request's head that Node leaves open, over its raw lines: what two readers could take
 * for two different requests is refused. Headers with an underscore in their name are dropped, since
 * gateways that hand headers on as variables confuse them with those that have a hyphen; so is the
 * offer to go on in HTTP/2 (`Upgrade: h2c`).
 */
export function refusalOfHead(request: IncomingMessage): ApiForgeError | undefined {
  const { rawHeaders } = request;
  if (request.httpVersionMajor === 2 && isTooLarge(request)) {
    return edgeError("headers_too_large", "The request's header section is too large");
  }
  if (rawHeaders.length > 2 * maxHeaders) {
    return edgeError("headers_too_large", `A request has at most ${maxHeaders} headers`);
  }
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    // The length decides for most names without a copy in lower case.
    switch (name.length) {
      case 4:
        if (name.toLowerCase() !== "host") break;
        if (++hosts > 1) return malformed("There is more than one Host header");
        if (!isHost(rawHeaders[index + 1] ?? "")) return malformed("The Host is malformed");
        break;
      case 7:
        if (name.toLowerCase() === "upgrade") dropUpgrade(request);
        break;
      case 14:
        if (name.toLowerCase() !== "content-length" || !isBodiless(request)) break;
        if (rawHeaders[index + 1] !== "0") return malformed("A GET or HEAD has no body");
        break;
      case 17: {
        if (name.toLowerCase() !== "transfer-encoding") break;
        const problem = problemOfEncoding(request, rawHeaders[index + 1] ?? "");
        if (problem !== undefined) return malformed(problem);
        break;
      }
    }
    if (name.includes("_")) Reflect.deleteProperty(request.headers, name.toLowerCase());
  }
  return hosts === 0 && (request.httpVersion === "1.1" || request.httpVersionMajor === 2)
    ? malformed("The Host header is missing")
    : undefined;
}

/** Most requests have the same one. */
function isHost(value: string): boolean {
  if (value === lastHost) return true;
  if (!hostValue.test(value)) return false;
  lastHost = value;
  return true;
}

/** The parser of HTTP/1.1 has this limit; that of HTTP/2 has it once a client has agreed to it. */
function isTooLarge(request: IncomingMessage): boolean {
  return (http2RequestOf(request)?.headBytes ?? 0) > maxHeaderSize;
}

/** RFC 9112 section 6.1. Node hands such a request on and finds only afterwards that it cannot read its body. */
function problemOfEncoding(request: IncomingMessage, value: string): string | undefined {
  if (value.toLowerCase() !== "chunked") return "The only Transfer-Encoding is chunked";
  if (request.httpVersion !== "1.1") return "Transfer-Encoding needs HTTP/1.1";
  return isBodiless(request) ? "A GET or HEAD has no body" : undefined;
}

function isBodiless({ method }: IncomingMessage): boolean {
  return method === "GET" || method === "HEAD";
}

function dropUpgrade({ headers }: IncomingMessage): void {
  if (headers.upgrade?.toLowerCase().includes("h2c") !== true) return;
  delete headers.upgrade;
  delete headers["http2-settings"];
}

function malformed(message: string): ApiForgeError {
  return edgeError("malformed_request", message);
}
