import { compileSchema, type Schema } from "../../schema/index.ts";
import { compileDeclaredFields, type DeclaredFields } from "./declared-fields.ts";

// Routes share schemas, and several stages ask for those of one route.
const compiled = new WeakMap<Schema, DeclaredFields>();

/** The fields that a reply of `schema` may have, compiled once. */
export function replyFields(schema: Schema): DeclaredFields {
  const found = compiled.get(schema) ?? compileDeclaredFields(compileSchema(schema).output);
  compiled.set(schema, found);
  return found;
}
