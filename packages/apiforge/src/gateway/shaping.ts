import { isUtf8 } from "node:buffer";

import { replyShaper, type Exchange, type Route, type ShapeReply } from "../edge/index.ts";
import type { Schema } from "../schema/index.ts";
import { declaredFields, type DeclaredFields } from "./declared-fields.ts";
import { valueOf, type RawFields } from "./headers/raw-fields.ts";
import { answerInvalid } from "./shaping-errors.ts";
import {
  changedFields,
  shownFields,
  type HeadChanges,
  type RelayedAnswer,
  type TransformReply,
  type TransformRequest,
  type TransformResponse,
} from "./shaping-hooks.ts";

/** Changes of a head that a route declares, the same for every message. */
export interface HeadDeclaration {
  readonly headers?: HeadChanges;
}

/** What a proxied route makes of its upstream's answers; see `defineProxy`. */
export interface ShapingOptions {
  /**
   * Schemas of the upstream's JSON by status: of an answer only the fields that its schema declares
   * leave, as of a handler's reply. Null: no body leaves. Answers of other statuses become errors. An
   * answer that is no JSON, does not satisfy its schema or is too large is 502 `upstream_answer_invalid`.
   * Answers are held whole for it. Numbers are JavaScript's: larger ones have to be texts. Default:
   * every answer passes as it is.
   */
  readonly replies?: Readonly<Record<number, Schema | null>>;
  /** The upstream's JSON that is held at most; default 1 MiB. */
  readonly maxReplyBytes?: number;
  /**
   * The upstream's errors (5xx; with `replies` also 4xx of an undeclared status) are answered with the
   * error envelope: nothing of theirs leaves but the status 4xx and `Retry-After`. Default true with `replies`, else false.
   */
  readonly sanitizeErrors?: boolean;
  /**
   * Fields that every request has, or has not, when its upstream gets it; {@link ShapingOptions.transformRequest}
   * sees them. Not those of the connection, of the body's framing, and of what the gateway itself says. Default none.
   */
  readonly request?: HeadDeclaration;
  /**
   * Fields that every answer of the upstream has, or has not, whatever its status; before
   * {@link ShapingOptions.transformResponse} and before a cache takes it. Errors of the gateway's own do not have them. Default none.
   */
  readonly response?: HeadDeclaration;
  readonly transformRequest?: TransformRequest;
  readonly transformResponse?: TransformResponse;
  /** Comes before {@link ShapingOptions.replies}. Answers that are not JSON pass as they are. */
  readonly transformReply?: TransformReply;
}

/** An answer that has come whole. */
export interface HeldReply {
  readonly status: number;
  readonly fields: RawFields;
  readonly body: Buffer;
}

/** What is to be sent in its place. */
export interface ShapedReply {
  readonly status: number;
  readonly fields: RawFields;
  readonly body: string | Buffer;
}

/** What becomes of an answer whose head has come: it `pass`es as it is, is to be `held` whole, or its body is of no use. */
export type AnswerFate = "pass" | "hold" | "replace";

/** Of a body that is held, where a route does not say. */
export const defaultMaxReplyBytes = 1_048_576;
const json = /^application\/(?:[\w.!#$&^-]+\+)?json\s*(?:;|$)/i;
// They describe the upstream's bytes, which are not those that leave. A weak tag stays true.
const ofBytes: ReadonlySet<string> = new Set([
  "accept-ranges",
  "content-digest",
  "content-encoding",
  "content-md5",
  "content-range",
  "content-type",
  "digest",
  "repr-digest",
]);

/** What one proxied route makes of the answers of its upstream. */
export class Shaping {
  /** What the route declares of requests; comes before {@link transformRequest}. */
  readonly requestFields: DeclaredFields | undefined;
  readonly transformRequest: TransformRequest | undefined;
  readonly maxReplyBytes: number;
  /** Bodies are looked into, so the upstream is asked for whole ones that are not encoded. */
  readonly looksInside: boolean;
  readonly #shape: ShapeReply | undefined;
  readonly #replies: Readonly<Record<number, Schema | null>>;
  readonly #sanitizes: boolean;
  readonly #responseFields: DeclaredFields | undefined;
  readonly #transformResponse: TransformResponse | undefined;
  readonly #transformReply: TransformReply | undefined;

  constructor(route: Route, options: ShapingOptions) {
    const { replies, transformReply } = options;
    this.requestFields = declaredFields("request", options.request?.headers);
    this.transformRequest = options.transformRequest;
    this.maxReplyBytes = options.maxReplyBytes ?? defaultMaxReplyBytes;
    this.looksInside = replies !== undefined || transformReply !== undefined;
    this.#shape = replies === undefined ? undefined : replyShaper(route);
    this.#replies = replies ?? {};
    this.#sanitizes = options.sanitizeErrors ?? replies !== undefined;
    this.#responseFields = declaredFields("response", options.response?.headers);
    this.#transformResponse = options.transformResponse;
    this.#transformReply = transformReply;
  }

  /** Fields of clients that no upstream gets, in lower case; none where a hook may hand on what they say. */
  get withheld(): ReadonlySet<string> | undefined {
    return this.transformRequest === undefined ? this.requestFields?.gone.all : undefined;
  }

  /** An answer's fields as the route's declaration and {@link TransformResponse} leave them. */
  fields(exchange: Exchange, status: number, raw: RawFields): RawFields {
    const fields = this.#responseFields?.applied(raw) ?? raw;
    const changes = this.#transformResponse?.(relayed(exchange, status, fields));
    return changes === undefined ? fields : changedFields(fields, changes);
  }

  /** True for a field, name in lower case, that the route declares for all its answers. */
  sets(name: string): boolean {
    return this.#responseFields?.sets(name) === true;
  }

  fateOf(status: number, fields: RawFields): AnswerFate {
    if (this.#shape !== undefined) {
      if (status in this.#replies) return "hold";
      return status < 400 || this.#sanitizes ? "replace" : "pass";
    }
    if (status >= 500 && this.#sanitizes) return "replace";
    const isSuccess = status >= 200 && status < 300;
    if (this.#transformReply === undefined || !isSuccess) return "pass";
    return json.test(valueOf(fields, "content-type")) ? "hold" : "pass";
  }

  /**
   * What leaves of an answer.
   * @throws {upstream_answer_invalid} when that cannot be said.
   */
  reply(exchange: Exchange, { status, fields, body }: HeldReply): ShapedReply {
    try {
      const value =
        this.#replies[status] === null
          ? undefined
          : this.#value(exchange, { status, fields, body });
      const shaped = this.#shape?.({ status, body: value }, exchange.asked);
      const written = shaped?.body ?? JSON.stringify(value) ?? "null";
      const type =
        shaped === undefined ? "application/json; charset=utf-8" : shaped.headers["content-type"];
      const kept = withoutByteFields(fields);
      if (type !== undefined) kept.push("content-type", type);
      return { status, fields: kept, body: written };
    } catch (error) {
      throw answerInvalid(error);
    }
  }

  #value(exchange: Exchange, { status, fields, body }: HeldReply): unknown {
    if (!json.test(valueOf(fields, "content-type"))) throw new TypeError("The answer is not JSON");
    if (!/^(?:identity)?$/i.test(valueOf(fields, "content-encoding"))) {
      throw new TypeError("The answer is encoded, though none was asked for");
    }
    if (!isUtf8(body)) throw new TypeError("The answer is not UTF-8");
    const value: unknown = JSON.parse(body.toString());
    const isSuccess = status >= 200 && status < 300;
    if (this.#transformReply === undefined || !isSuccess) return value;
    return this.#transformReply(value, relayed(exchange, status, fields));
  }
}

/** Undefined where answers and requests pass as they are. */
export function shapingOf(route: Route, options: ShapingOptions): Shaping | undefined {
  const { replies, sanitizeErrors, transformReply, transformRequest, transformResponse } = options;
  const isUsed =
    (replies ?? transformReply ?? transformRequest ?? transformResponse) !== undefined ||
    (options.request?.headers ?? options.response?.headers) !== undefined ||
    options.maxReplyBytes !== undefined ||
    sanitizeErrors === true;
  return isUsed ? new Shaping(route, options) : undefined;
}

function relayed(request: Exchange, status: number, fields: RawFields): RelayedAnswer {
  return { status, headers: shownFields(fields), request };
}

function withoutByteFields(fields: RawFields): string[] {
  const kept: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] ?? "").toLowerCase();
    const value = fields[index + 1] ?? "";
    const isStrongTag = name === "etag" && !value.startsWith("W/");
    if (!ofBytes.has(name) && !isStrongTag) kept.push(name, value);
  }
  return kept;
}
