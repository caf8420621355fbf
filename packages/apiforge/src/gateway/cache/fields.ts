import type { RawFields } from "../headers/raw-fields.ts";

/** Fields of a message by name in lower case; what came more than once is joined by commas (RFC 9110 section 5.3). */
export type Fields = ReadonlyMap<string, string>;

/** Reads fields as they came, flat as `[name, value, …]`. */
export function fieldsOf(raw: RawFields): Fields {
  const fields = new Map<string, string>();
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] ?? "").toLowerCase();
    const value = raw[index + 1] ?? "";
    const earlier = fields.get(name);
    fields.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  return fields;
}

/** Members of a list of tokens, in lower case. */
export function members(list: string | undefined): readonly string[] {
  if (list === undefined) return [];
  return list
    .split(",")
    .map((member) => member.trim().toLowerCase())
    .filter((member) => member !== "");
}
