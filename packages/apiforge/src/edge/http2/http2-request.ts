import type { IncomingMessage } from "node:http";
import { Http2ServerRequest, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { ReadableOptions } from "node:stream";

/**
 * A request of HTTP/2 with the fields of one of HTTP/1.1 (RFC 9113 section 8.3.1): `:authority` is its
 * `Host`, the pieces of its `Cookie` are one field, and pseudo-header fields are none of its raw lines.
 * So guard, stages and upstreams read one form of request.
 */
export class Http2Request extends Http2ServerRequest {
  /** Of its head, as HTTP/1.1 would write it. */
  readonly headBytes: number;
  /** Of its body, so far; those of the connection are other requests' too. */
  bytesRead = 0;
  #isWhole = false;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    options: ReadableOptions,
    rawHeaders: readonly string[],
  ) {
    // A CONNECT has none.
    const path = headers[":path"] ?? "";
    const fields = http1Fields(rawHeaders);
    super(stream, headers, options, fields);
    this.headBytes = fields.reduce((bytes, text) => bytes + text.length + 2, path.length);
    const authority = headers[":authority"];
    if (authority !== undefined) headers.host = authority;
  }

  /** True when nothing follows its head. */
  get isBodiless(): boolean {
    return this.stream.endAfterHeaders;
  }

  /** True when all of it has come. */
  get isWhole(): boolean {
    return this.#isWhole || this.isBodiless;
  }

  /** Node pushes the end of what a client has broken off like that of a whole body: nobody may take it for one. */
  override push(chunk: Buffer | null): boolean {
    if (chunk !== null) this.bytesRead += chunk.length;
    else if (this.isWhole || !this.stream.aborted) this.#isWhole = true;
    else {
      // As node:http has it: an error is for those who listen.
      this.destroy(this.listenerCount("error") > 0 ? brokenOff() : undefined);
      return false;
    }
    return super.push(chunk);
  }
}

// Node's own says true of a request that was broken off.
Object.defineProperty(Http2Request.prototype, "complete", {
  get(this: Http2Request) {
    return this.isWhole;
  },
});

/** As node:http reports it. */
function brokenOff(): Error & { code: string } {
  return Object.assign(new Error("aborted"), { code: "ECONNRESET" });
}

/** A `Host` that is not the `:authority` stays, and makes two of them, which the guard refuses. */
function http1Fields(rawHeaders: readonly string[]): string[] {
  const fields: string[] = [];
  let authority: string | undefined;
  let cookieAt: number | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    const value = rawHeaders[index + 1] ?? "";
    if (name === ":authority") {
      authority = value;
      fields.push("host", value);
    } else if (name.startsWith(":") || (name === "host" && value === authority)) continue;
    else if (name === "cookie" && cookieAt !== undefined) fields[cookieAt] += `; ${value}`;
    else {
      if (name === "cookie") cookieAt = fields.length + 1;
      fields.push(name, value);
    }
  }
  return fields;
}

/** A request as stages see it, when it came by HTTP/2. */
export function http2RequestOf(request: IncomingMessage): Http2Request | undefined {
  const given: object = request;
  return given instanceof Http2Request ? given : undefined;
}

/** Bytes of a request's body that have come; of HTTP/1.1 those of its connection, which it has to itself. */
export function bytesReadOf(request: IncomingMessage): number {
  return http2RequestOf(request)?.bytesRead ?? request.socket.bytesRead;
}

/** How long a request says that its body is: 0 without one, undefined where only its end will tell. */
export function lengthOfBody(request: IncomingMessage): number | undefined {
  const { headers, method } = request;
  if (headers["transfer-encoding"] !== undefined) return undefined;
  const length = headers["content-length"];
  if (length !== undefined) return Number(length);
  const isOpen = http2RequestOf(request)?.isBodiless === false;
  // What follows a GET has no meaning (RFC 9110 section 9.3.1), and goes nowhere.
  return isOpen && method !== "GET" && method !== "HEAD" ? undefined : 0;
}

/** What is the same object for all requests of one connection; Node has each of HTTP/2 see one of its own. */
export function connectionOf(request: IncomingMessage): Socket {
  const session = http2RequestOf(request)?.stream.session;
  return session === undefined ? request.socket : session.socket;
}
