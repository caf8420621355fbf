import type { Answer } from "../../durable/index.ts";
import type { Schema } from "../../schema/index.ts";
import { edgeError } from "../errors.ts";
import { replyFields } from "../fields/reply-fields.ts";
import { fieldSelector, type AskedFields } from "../fields/sparse-fields.ts";
import { validateHeaderName, validateHeaderValue } from "../node-http.ts";
import type { Reply, Route } from "../route.ts";
import {
  StreamReply,
  streamContentTypes,
  streamWriter,
  type StreamFormat,
} from "../stream-reply.ts";
import { TextReply } from "../text-reply.ts";

const jsonHeaders = { "content-type": "application/json; charset=utf-8" } as const;
const noHeaders = {} as const;

// Set by the stages themselves; a handler's word would contradict the message or its record.
const reservedHeaders = new Set([
  "connection",
  "content-length",
  "content-type",
  "idempotent-replayed",
  "keep-alive",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "x-forge-seq",
  "x-request-id",
]);

/** How the body of one status is written. */
interface BodyWriter {
  readonly headers: Readonly<Record<string, string>>;
  readonly write: (body: unknown, asked: AskedFields | undefined) => string;
}

const withoutBody: BodyWriter = { headers: noHeaders, write: () => "" };

/** Makes an answer of a reply; `asked`: the fields that the caller wants, undefined for all. */
export type ShapeReply = (reply: Reply, asked: AskedFields | undefined) => Answer;

/**
 * The stage that turns a handler's reply into bytes: exactly the fields that the reply's schema
 * declares, and of those of a success only what was `asked` for. It runs inside the transaction, so that a reply that does not satisfy its schema
 * (`reply_invalid`, answered as 500) takes the handler's effects back with it.
 */
export function shape(route: Route): ShapeReply {
  const writers = new Map<number, BodyWriter>();
  for (const [status, kind] of Object.entries(route.replies)) {
    if (kind instanceof StreamReply) continue;
    writers.set(Number(status), bodyWriter(route, status, kind));
  }
  return function shapeReply(reply, asked) {
    const writer = writers.get(reply.status);
    if (writer === undefined) {
      throw edgeError(
        "reply_invalid",
        `${route.method} ${route.path} declares no reply of status ${reply.status}`,
      );
    }
    const { headers } = writer;
    return {
      status: reply.status,
      headers:
        reply.headers === undefined
          ? headers
          : { ...headers, ...checkedHeaders(route, reply.headers) },
      body: writer.write(reply.body, asked),
    };
  };
}

/** How the values of a streamed reply are written. */
export interface StreamKind {
  readonly format: StreamFormat;
  readonly write: (value: unknown) => string;
}

/** The head of a streamed reply with how its values are written; undefined for any other reply. */
export function shapeStream(
  route: Route,
): (reply: Reply) => { readonly answer: Answer; readonly kind: StreamKind } | undefined {
  const kinds = new Map<number, StreamKind>();
  for (const [status, reply] of Object.entries(route.replies)) {
    if (!(reply instanceof StreamReply)) continue;
    kinds.set(Number(status), { format: reply.format, write: streamWriter(reply) });
  }
  return function shapeStreamReply({ status, headers = {} }) {
    const kind = kinds.get(status);
    if (kind === undefined) return undefined;
    const contentType = streamContentTypes[kind.format];
    const all = { "content-type": contentType, ...checkedHeaders(route, headers) };
    return { answer: { status, headers: all, body: "" }, kind };
  };
}

function bodyWriter(
  route: Route,
  status: string,
  kind: Exclude<Route["replies"][number], StreamReply>,
): BodyWriter {
  if (kind === null || kind === undefined) return withoutBody;
  if (kind instanceof TextReply) {
    return { headers: { "content-type": kind.contentType }, write: textWriter(route, status) };
  }
  return { headers: jsonHeaders, write: jsonWriter(route, status, kind) };
}

function textWriter(route: Route, status: string): BodyWriter["write"] {
  return function writeText(body) {
    if (typeof body === "string") return body;
    throw edgeError(
      "reply_invalid",
      `Reply ${status} of ${route.method} ${route.path} is not a string`,
    );
  };
}

function jsonWriter(route: Route, status: string, schema: Schema): BodyWriter["write"] {
  const fields = replyFields(schema);
  const select = status.startsWith("2") ? fieldSelector(schema) : undefined;
  return function writeBody(body, asked) {
    const mismatch = fields.findMismatch(body);
    if (mismatch !== undefined) {
      throw edgeError(
        "reply_invalid",
        `Reply ${status} of ${route.method} ${route.path} does not satisfy its schema: ${mismatch}`,
      );
    }
    const declared = asked === undefined && fields.isPlain(body) ? body : fields.project(body);
    const chosen = asked === undefined || select === undefined ? declared : select(asked, declared);
    // A place that the schema leaves free may be undefined, which JSON cannot say.
    return JSON.stringify(chosen) ?? "null";
  };
}

function checkedHeaders(
  route: Route,
  headers: Readonly<Record<string, string>>,
): Record<string, string> {
  const checked: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const lowerCase = name.toLowerCase();
    if (reservedHeaders.has(lowerCase)) {
      throw edgeError(
        "reply_invalid",
        `${route.method} ${route.path} must not set the header ${lowerCase}`,
      );
    }
    validateHeaderName(lowerCase);
    validateHeaderValue(lowerCase, value);
    checked[lowerCase] = value;
  }
  return checked;
}
