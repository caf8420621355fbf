import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type ClientHttp2Stream } from "node:http2";

import {
  connectTypeOf,
  grpcStatus,
  http2ResponseOf,
  lastFrame,
  webPiece,
  type GrpcForm,
  type SelfWritten,
} from "../../edge/index.ts";
import { valueOf } from "../headers/raw-fields.ts";
import { responseHead } from "../headers/response-headers.ts";
import type { PhaseWatch, Waiting } from "../phases.ts";
import { connectHead, isWrittenAs, otherCodec } from "./connect-fields.ts";
import { MessageSizes } from "./messages.ts";
import { hasStatus, ofReset, parted, passedOn, statusFields } from "./trailer.ts";

/** What an answer is made of. */
export interface GrpcAnswerParts {
  readonly form: GrpcForm;
  readonly stream: ClientHttp2Stream;
  /** As they came, flat. */
  readonly rawHeaders: readonly string[];
  /** Nothing follows them: they are the trailer too. */
  readonly isTrailersOnly: boolean;
  readonly watch: PhaseWatch;
}

const { NGHTTP2_CANCEL } = constants;

/** The answer of a call that has begun to answer: messages as they come, and always a status at the end. */
export class GrpcAnswer implements SelfWritten, Waiting {
  readonly phase = "client";
  sinceAt = 0;
  place = 0;
  readonly #parts: GrpcAnswerParts;
  #response: ServerResponse | undefined;
  #trailer: readonly string[] = [];
  #isWaiting = false;
  /** Of a form that has the trailer among the messages. */
  #sizes: MessageSizes | undefined;

  constructor(parts: GrpcAnswerParts) {
    this.#parts = parts;
  }

  /** True once the status of the call is known, so that it ended as its server meant. */
  get isWhole(): boolean {
    return this.#parts.isTrailersOnly || hasStatus(this.#trailer);
  }

  /** @see {SelfWritten} */
  write(response: ServerResponse, own: readonly string[]): void {
    const { form, stream, rawHeaders, isTrailersOnly } = this.#parts;
    this.#response = response;
    const { headers } = responseHead(passedOn(rawHeaders), own);
    const http2 = http2ResponseOf(response);
    if (isTrailersOnly) {
      if (form === "grpc" && http2 !== undefined) return http2.endWithHead(headers);
      const [trailer, head] = parted(headers);
      response.writeHead(200, ofForm(head, form, response.req)).end(lastFrame(trailer, form));
      return;
    }
    stream.on("trailers", (_fields, _flags, raw: readonly string[]) => {
      // What was decided here is not taken back.
      if (this.#trailer.length === 0) this.#trailer = passedOn(raw);
    });
    if (form === "grpc") stream.on("data", (piece: Buffer) => this.#pass(response, piece));
    else this.#translate(response);
    stream.once("close", () => this.#finish(response));
    response.writeHead(200, ofForm(headers, form, response.req));
    response.flushHeaders();
  }

  /** Ends it with a status of ours. */
  fail(status: number, message: string): void {
    this.#trailer = statusFields(status, message);
    this.#parts.stream.close(NGHTTP2_CANCEL);
  }

  /** The client does not read. */
  expire(): void {
    this.#response?.destroy();
    this.#parts.stream.close(NGHTTP2_CANCEL);
  }

  /** Messages, of which each is whole before the end is told among them. */
  #translate(response: ServerResponse): void {
    const { form, stream, rawHeaders } = this.#parts;
    const sizes = new MessageSizes(Number.POSITIVE_INFINITY);
    this.#sizes = sizes;
    const isOther =
      form === "connect-stream" &&
      !isWrittenAs(connectTypeOf(response.req), valueOf(rawHeaders, "content-type"));
    stream.on("data", (piece: Buffer) => {
      if (isOther) return this.fail(grpcStatus.unimplemented, otherCodec);
      sizes.allow(piece);
      this.#pass(response, webPiece(piece, form));
    });
  }

  #pass(response: ServerResponse, piece: Buffer): void {
    if (response.write(piece) || this.#isWaiting) return;
    const { stream, watch } = this.#parts;
    stream.pause();
    this.#isWaiting = true;
    this.sinceAt = watch.clock.now();
    watch.add(this);
    response.once("drain", () => {
      this.#stopWaiting();
      stream.resume();
    });
  }

  #finish(response: ServerResponse): void {
    this.#stopWaiting();
    const { form, stream } = this.#parts;
    const trailer = hasStatus(this.#trailer) ? this.#trailer : ofReset(stream.rstCode ?? 0);
    if (this.#sizes !== undefined) {
      // What follows half a message would be read as its other half.
      if (!this.#sizes.isBetween) return void response.destroy();
      return void response.end(lastFrame(trailer, form));
    }
    const pairs: [string, string][] = [];
    for (let index = 0; index < trailer.length; index += 2) {
      pairs.push([trailer[index] ?? "", trailer[index + 1] ?? ""]);
    }
    response.addTrailers(pairs);
    response.end();
  }

  #stopWaiting(): void {
    if (this.#isWaiting) this.#parts.watch.delete(this);
    this.#isWaiting = false;
  }
}

/** The head as the caller's protocol has it; a browser is told by the content type which form it gets. */
function ofForm(headers: string[], form: GrpcForm, request: IncomingMessage): string[] {
  if (form === "grpc") return headers;
  if (form === "connect-stream") return connectHead(headers, form, connectTypeOf(request));
  return headers.map((text, index) =>
    headers[index - 1]?.toLowerCase() === "content-type" && index % 2 === 1
      ? text.replace(/^application\/grpc\b/i, `application/${form}`)
      : text,
  );
}
