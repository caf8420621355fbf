import type { ServerResponse } from "node:http";
import { constants, Http2ServerResponse, type OutgoingHttpHeaders } from "node:http2";

import type { Http2Request } from "./http2-request.ts";

type Pairs = readonly (readonly [string, string])[];
type GivenHeaders = readonly string[] | OutgoingHttpHeaders;

/** Fields of a connection, which HTTP/2 has frames for (RFC 9113 section 8.2.2). */
const ofConnection: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** An answer over HTTP/2, written like one over HTTP/1.1. */
export class Http2Response extends Http2ServerResponse<Http2Request> {
  /** Of its body, so far; those of the connection are other answers' too. */
  bytesWritten = 0;

  /** @param given headers flat, as `[name, value, …]`, or by name. */
  override writeHead(status: number, given?: string | GivenHeaders, more?: GivenHeaders): this {
    const headers = typeof given === "string" ? more : given;
    if (headers === undefined) return super.writeHead(status);
    return super.writeHead(status, isFlat(headers) ? ofMessage(headers) : ofMessageByName(headers));
  }

  override write(chunk: string | Uint8Array, ...rest: never[]): boolean {
    this.bytesWritten += sizeOf(chunk, rest[0]);
    return super.write(chunk, ...rest);
  }

  override end(...given: never[]): this {
    super.end(...given);
    // What is left of a body that was answered before its end is not to be sent (RFC 9113 section 8.1).
    const { stream } = this;
    // In a turn of its own, as Node does it: in this one the reset would overtake the head.
    if (stream.writableFinished) setImmediate(() => this.#refuseRest());
    else stream.once("finish", () => setImmediate(() => this.#refuseRest()));
    return this;
  }

  /** Never a clean end: a client must not take what it got for the whole. */
  override destroy(): this {
    this.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    return this;
  }

  /** Sends status 200 and nothing behind the head, which then ends the answer. @param fields flat, as `[name, value, …]`. */
  endWithHead(fields: readonly string[]): void {
    const { stream } = this;
    if (stream.headersSent || stream.closed) return;
    stream.respond({ ...byName(ofMessage(fields)), ":status": 200 }, { endStream: true });
    this.end();
  }

  /** An interim answer. @param fields flat, as `[name, value, …]`. */
  writeInformation(status: number, fields: readonly string[] = []): void {
    const { stream } = this;
    if (stream.headersSent || stream.closed) return;
    stream.additionalHeaders({ ...byName(ofMessage(fields)), ":status": status });
  }

  /** @param fields pairs, or by name. */
  override addTrailers(fields: OutgoingHttpHeaders | Pairs): void {
    super.addTrailers(isPairs(fields) ? byName(fields.flat()) : fields);
  }

  #refuseRest(): void {
    const { stream } = this;
    const hasCome = stream.endAfterHeaders || stream.readableEnded;
    if (!hasCome && !stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
  }
}

// Node's own has neither, though its types say so.
Object.defineProperties(Http2Response.prototype, {
  destroyed: {
    get(this: Http2Response) {
      return this.stream.destroyed;
    },
  },
  closed: {
    get(this: Http2Response) {
      return this.stream.closed;
    },
  },
});

function isFlat(headers: GivenHeaders): headers is readonly string[] {
  return Array.isArray(headers);
}

function isPairs(fields: OutgoingHttpHeaders | Pairs): fields is Pairs {
  return Array.isArray(fields);
}

function ofMessage(headers: readonly string[]): string[] {
  const left: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? "";
    if (!isOfConnection(name)) left.push(name, headers[index + 1] ?? "");
  }
  return left;
}

function ofMessageByName(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const left: OutgoingHttpHeaders = {};
  for (const name in headers) if (!isOfConnection(name)) left[name] = headers[name];
  return left;
}

function isOfConnection(name: string): boolean {
  return ofConnection.has(name.toLowerCase());
}

/** Fields that come more than once keep all their values. */
function byName(fields: readonly string[]): Record<string, string | string[]> {
  const named: Record<string, string | string[]> = {};
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] ?? "").toLowerCase();
    const value = fields[index + 1] ?? "";
    const earlier = named[name];
    named[name] = earlier === undefined ? value : [earlier, value].flat();
  }
  return named;
}

function sizeOf(chunk: string | Uint8Array, encoding: BufferEncoding | undefined): number {
  return typeof chunk === "string" ? Buffer.byteLength(chunk, encoding) : chunk.byteLength;
}

/** An answer as stages see it, when it leaves by HTTP/2. */
export function http2ResponseOf(response: ServerResponse): Http2Response | undefined {
  const given: object = response;
  return given instanceof Http2Response ? given : undefined;
}
