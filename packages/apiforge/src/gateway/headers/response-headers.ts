import { viaMember } from "../identity.ts";
import { endsHere, namedByConnection } from "./hop-by-hop.ts";
import type { RawFields } from "./raw-fields.ts";

// Lists, which more than one may write to.
const merged: ReadonlySet<string> = new Set([
  "cache-status",
  "link",
  "server-timing",
  "set-cookie",
  "vary",
]);

/** The fields of an answer as the client gets them. */
export interface ResponseHead {
  /** Flat, as `[name, value, …]`, without the length. */
  readonly headers: string[];
  /** What the upstream says the length of the body is: passed on, it lets a client tell that a body was cut short. */
  readonly length: string | undefined;
  /** Names of the trailer's fields as they were announced; undefined for none. */
  readonly trailer: string | undefined;
  /** The answer says how long it may be kept. */
  readonly hasCacheControl: boolean;
}

/**
 * Passes on what an upstream answered: all but what ends here, with `own` in the place of fields of
 * the same name.
 * @param raw flat, as it came.
 * @param own flat, names in lower case.
 */
export function responseHead(raw: RawFields, own: readonly string[]): ResponseHead {
  const headers: string[] = [];
  let connection: string | undefined;
  let trailer: string | undefined;
  let length: string | undefined;
  let via = viaMember;
  let hasCacheControl = names(own, "cache-control");
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? "";
    const lowerCase = name.toLowerCase();
    const value = raw[index + 1] ?? "";
    if (lowerCase === "content-length") length = value;
    else if (endsHere(lowerCase)) {
      if (lowerCase === "connection") connection = joined(connection, value);
      if (lowerCase === "trailer") trailer = joined(trailer, value);
    } else if (lowerCase === "via") via = `${value}, ${via}`;
    else if (!names(own, lowerCase) || merged.has(lowerCase)) {
      headers.push(name, value);
      if (lowerCase === "cache-control") hasCacheControl = true;
    }
  }
  const left = withoutNamed(headers, connection);
  for (const part of own) left.push(part);
  left.push("via", via);
  return { headers: left, length, trailer, hasCacheControl };
}

function withoutNamed(headers: string[], connection: string | undefined): string[] {
  const named = namedByConnection(connection);
  if (named.size === 0) return headers;
  const left: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? "";
    if (!named.has(name.toLowerCase())) left.push(name, headers[index + 1] ?? "");
  }
  return left;
}

function names(own: readonly string[], name: string): boolean {
  for (let index = 0; index < own.length; index += 2) if (own[index] === name) return true;
  return false;
}

function joined(earlier: string | undefined, value: string): string {
  return earlier === undefined ? value : `${earlier}, ${value}`;
}
