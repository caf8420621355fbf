import { text } from "./response-headers.ts";

/** Fields of an upstream, flat as `[name, value, …]`, as they came. */
export type RawFields = readonly (Buffer | string)[];

/** The value of the first field of a name in lower case; empty without one. */
export function valueOf(fields: RawFields, name: string): string {
  for (let index = 0; index < fields.length; index += 2) {
    if (text(fields[index]).toLowerCase() === name) return text(fields[index + 1]).trim();
  }
  return "";
}
