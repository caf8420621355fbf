import { compileSchema, type Schema, type SchemaOutput } from "../schema/index.ts";
import { compileDeclaredFields } from "./fields/declared-fields.ts";
import { edgeError } from "./errors.ts";

/** How values are written one after another. */
export type StreamFormat = "ndjson" | "event-stream";

/** The body of a reply that is written while it is made. `T` is what the handler's stream yields. */
export class StreamReply<T = unknown> {
  readonly format: StreamFormat;
  readonly schema: Schema;
  /** Only a type: what the stream yields. */
  declare readonly value: T;

  constructor(format: StreamFormat, schema: Schema) {
    this.format = format;
    this.schema = schema;
  }
}

/** One event of an event stream (html.spec.whatwg.org, section 9.2). */
export interface ServerSentEvent<T> {
  /** Name of the event; letters, digits, `.`, `_` and `-`. */
  readonly event: string;
  readonly data: T;
}

/**
 * A reply of one JSON value a line, `application/x-ndjson`. The handler of a GET returns
 * `{ status, stream }`; it is asked for the next value when the client has room for it, and its
 * `return()` is called when the client has gone. A failure on the way breaks the connection, so
 * that a cut answer is not taken for a whole one.
 */
export function ndjsonReply<S extends Schema>(schema: S): StreamReply<SchemaOutput<S>> {
  return new StreamReply("ndjson", schema);
}

/**
 * A reply of server-sent events, `text/event-stream`, each with `data` of `schema`. A comment goes
 * out when there was nothing for 15 s. Pass `request.signal` to whatever makes the events: it
 * aborts when the client has gone or the server stops.
 */
export function eventStreamReply<S extends Schema>(
  schema: S,
): StreamReply<ServerSentEvent<SchemaOutput<S>>> {
  return new StreamReply("event-stream", schema);
}

/** The `Content-Type` of a format. */
export const streamContentTypes: Readonly<Record<StreamFormat, string>> = {
  ndjson: "application/x-ndjson; charset=utf-8",
  "event-stream": "text/event-stream; charset=utf-8",
};

const eventName = /^[\w.-]+$/;

/**
 * The function that writes one value of the stream: only declared fields.
 * It throws `reply_invalid` for a value that does not satisfy the schema.
 */
export function streamWriter({ format, schema }: StreamReply): (value: unknown) => string {
  const fields = compileDeclaredFields(compileSchema(schema).output);
  const write = (value: unknown): string => {
    const mismatch = fields.findMismatch(value);
    if (mismatch !== undefined) {
      throw edgeError("reply_invalid", `A streamed value does not satisfy its schema: ${mismatch}`);
    }
    return JSON.stringify(fields.project(value)) ?? "null";
  };
  if (format === "ndjson") return (value) => `${write(value)}\n`;
  return (value) => {
    const { event, data } = value as ServerSentEvent<unknown>;
    if (!eventName.test(event))
      throw edgeError("reply_invalid", `${event} cannot name a server-sent event`);
    return `event: ${event}\ndata: ${write(data)}\n\n`;
  };
}
