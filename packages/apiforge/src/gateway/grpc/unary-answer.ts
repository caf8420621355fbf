import type { IncomingMessage } from "node:http";
import { constants, type ClientHttp2Stream } from "node:http2";

import {
  connectEnd,
  connectTypeOf,
  grpcStatus,
  plainAnswer,
  prefixBytes,
  writeWhole,
  type ConnectEnd,
  type Outgoing,
  type SelfWritten,
} from "../../edge/index.ts";
import { valueOf } from "../headers/raw-fields.ts";
import { responseHead } from "../headers/response-headers.ts";
import { connectHead, isWrittenAs, otherCodec, takesCompressed } from "./connect-fields.ts";
import { hasStatus, ofReset, parted, passedOn, statusFields } from "./trailer.ts";

/** What an answer is made of. */
export interface UnaryAnswerParts {
  readonly request: IncomingMessage;
  readonly stream: ClientHttp2Stream;
  /** As they came, flat. */
  readonly rawHeaders: readonly string[];
  /** Nothing follows them: they are the trailer too. */
  readonly isTrailersOnly: boolean;
  /** Of its message. */
  readonly maxBytes: number;
}

const { internal, resourceExhausted, unimplemented } = grpcStatus;
const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants;

/**
 * The answer of a call by Connect that has one message, held until its stream has closed: whether the call went well
 * is known at the end, and said in front.
 */
export class UnaryAnswer {
  readonly #parts: UnaryAnswerParts;
  readonly #head: readonly string[];
  readonly #pieces: Buffer[] = [];
  #bytes = 0;
  /** Of the message, once its prefix has come. */
  #length: number | undefined;
  #trailer: readonly string[] = [];

  constructor(parts: UnaryAnswerParts) {
    this.#parts = parts;
    const { stream, rawHeaders, isTrailersOnly } = parts;
    const fields = passedOn(rawHeaders);
    [this.#trailer, this.#head] = isTrailersOnly ? parted(fields) : [[], fields];
    stream.on("trailers", (_fields, _flags, raw: readonly string[]) => {
      // What was decided here is not taken back.
      if (this.#trailer.length === 0) this.#trailer = passedOn(raw);
    });
    stream.on("data", (piece: Buffer) => this.#take(piece));
  }

  /** True once the status of the call is known, so that it ended as its server meant, or was ended here. */
  get isWhole(): boolean {
    return hasStatus(this.#trailer);
  }

  /** What is answered, once the stream has closed. */
  outgoing(): Outgoing {
    const body = Buffer.concat(this.#pieces);
    const { status, error, metadata } = this.#endOf(body);
    const type = error === undefined ? connectTypeOf(this.#parts.request) : "application/json";
    const selfWritten: SelfWritten = {
      write: (response, own, isLast) => {
        const head = connectHead(responseHead(this.#head, own).headers, "connect", type);
        for (let index = 0; index < metadata.length; index += 2) {
          head.push(`trailer-${metadata[index] ?? ""}`, metadata[index + 1] ?? "");
        }
        if (error !== undefined) {
          return writeWhole(response, status, head, Buffer.from(JSON.stringify(error)), isLast);
        }
        const message = body.subarray(prefixBytes);
        // Nothing at all is never compressed (connectrpc.com/docs/protocol).
        if (body[0] === 1 && message.length > 0) head.push("content-encoding", "gzip");
        writeWhole(response, status, head, message, isLast);
      },
    };
    return { ...plainAnswer(status), selfWritten };
  }

  #take(piece: Buffer): void {
    if (this.isWhole) return;
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes < prefixBytes) return;
    this.#length ??= Buffer.concat(this.#pieces).readUInt32BE(1);
    if (this.#length > this.#parts.maxBytes) {
      this.#end(resourceExhausted, "The answer is longer than a single message may be");
    } else if (this.#bytes > prefixBytes + this.#length) {
      this.#end(unimplemented, "The answer has more than one message; call it as a stream");
    }
  }

  #end(status: number, message: string): void {
    this.#trailer = statusFields(status, message);
    this.#parts.stream.close(NGHTTP2_CANCEL);
  }

  #endOf(body: Buffer): ConnectEnd {
    const trailer = this.isWhole ? this.#trailer : ofReset(this.#parts.stream.rstCode ?? 0);
    const end = connectEnd(trailer);
    const problem = end.error === undefined ? this.#problemOf(body) : undefined;
    return problem === undefined ? end : connectEnd(problem);
  }

  /** What is wrong with an answer whose trailer says that all went well. */
  #problemOf(body: Buffer): string[] | undefined {
    if (body.length === 0) return statusFields(unimplemented, "The answer has no message");
    if (body.length < prefixBytes + (this.#length ?? 0)) return ofReset(NGHTTP2_NO_ERROR);
    const { request } = this.#parts;
    if (!isWrittenAs(connectTypeOf(request), valueOf(this.#head, "content-type"))) {
      return statusFields(unimplemented, otherCodec);
    }
    const [flags = 0] = body;
    const isGzip = flags === 1 && valueOf(this.#head, "grpc-encoding") === "gzip";
    if (flags === 0 || (isGzip && takesCompressed(request.headers))) return undefined;
    return statusFields(internal, "The answer is encoded in a way that was not asked for");
  }
}
