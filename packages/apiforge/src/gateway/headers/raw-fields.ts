import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";

/** Fields of an upstream, flat as `[name, value, …]`. */
export type RawFields = readonly string[];

/** Those of an answer as undici has read them: names in lower case, what came more than once side by side. */
export function readFields(headers: IncomingHttpHeaders): RawFields {
  const fields: string[] = [];
  for (const name in headers) {
    const value = headers[name];
    if (typeof value === "string") fields.push(name, value);
    else if (value !== undefined) for (const one of value) fields.push(name, one);
  }
  return fields;
}

/** Those that undici keeps as they came; of HTTP/2 it keeps none. */
export function rawFields(raw: Dispatcher.DispatchController["rawHeaders"]): RawFields {
  return Array.isArray(raw) ? raw.map((part) => part.toString("latin1")) : [];
}

/** The value of the first field of a name in lower case; empty without one. */
export function valueOf(fields: RawFields, name: string): string {
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index]?.toLowerCase() === name) return fields[index + 1]?.trim() ?? "";
  }
  return "";
}
