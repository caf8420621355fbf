import type { ServerResponse } from "node:http";
import { constants, type ClientHttp2Stream } from "node:http2";

import {
  grpcMessage,
  grpcStatus,
  http2ResponseOf,
  webPiece,
  webTrailer,
  type GrpcForm,
  type SelfWritten,
} from "../../edge/index.ts";
import { endsHere } from "../headers/hop-by-hop.ts";
import { responseHead } from "../headers/response-headers.ts";
import type { PhaseWatch, Waiting } from "../phases.ts";

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

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_REFUSED_STREAM } = constants;

/** The answer of a call that has begun to answer: messages as they come, and always a status at the end. */
export class GrpcAnswer implements SelfWritten, Waiting {
  readonly phase = "client";
  sinceAt = 0;
  place = 0;
  readonly #parts: GrpcAnswerParts;
  #response: ServerResponse | undefined;
  #trailer: readonly string[] = [];
  #isWaiting = false;

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
      response.writeHead(200, ofForm(head, form)).end(webTrailer(trailer, form));
      return;
    }
    stream.on("trailers", (_fields, _flags, raw: readonly string[]) => {
      // What was decided here is not taken back.
      if (this.#trailer.length === 0) this.#trailer = passedOn(raw);
    });
    stream.on("data", (piece: Buffer) => this.#pass(response, webPiece(piece, form)));
    stream.once("close", () => this.#finish(response));
    response.writeHead(200, ofForm(headers, form));
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
    if (form !== "grpc") return void response.end(webTrailer(trailer, form));
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

/** Fields without those of HTTP/2's own and of this hop. */
function passedOn(raw: readonly string[]): string[] {
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

function hasStatus(fields: readonly string[]): boolean {
  return fields.some((name, index) => index % 2 === 0 && name.toLowerCase() === "grpc-status");
}

/** The fields of a status, and the others. */
function parted(fields: readonly string[]): [string[], string[]] {
  const parts: [string[], string[]] = [[], []];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? "";
    parts[ofStatus.has(name.toLowerCase()) ? 0 : 1].push(name, fields[index + 1] ?? "");
  }
  return parts;
}

/** A browser is told by the content type which form it gets. */
function ofForm(headers: readonly string[], form: GrpcForm): string[] {
  return headers.map((text, index) =>
    form !== "grpc" && headers[index - 1]?.toLowerCase() === "content-type" && index % 2 === 1
      ? text.replace(/^application\/grpc\b/i, `application/${form}`)
      : text,
  );
}

function statusFields(status: number, message: string): string[] {
  return ["grpc-status", String(status), "grpc-message", grpcMessage(message)];
}

/** What a stream that ended without a status says (grpc/grpc, doc/PROTOCOL-HTTP2.md, "Errors"). */
function ofReset(code: number): string[] {
  const message = "The service behind this route broke off its answer";
  const { cancelled, internal, resourceExhausted, unavailable } = grpcStatus;
  if (code === NGHTTP2_CANCEL) return statusFields(cancelled, message);
  if (code === NGHTTP2_REFUSED_STREAM) return statusFields(unavailable, message);
  if (code === NGHTTP2_ENHANCE_YOUR_CALM) return statusFields(resourceExhausted, message);
  return statusFields(internal, message);
}
