import { createRequire } from "node:module";
import type * as Ajv from "ajv/dist/2020.js";

import { compileSchema, type JsonSchema, type Schema } from "../../schema/index.ts";
import type { ConfigPath, Problems } from "./problem.ts";

const require = createRequire(import.meta.url);
let checker: Ajv.Ajv2020 | undefined;

/** Loaded with the first JSON Schema of a configuration: who has none does without it. */
function schemaChecker(): Ajv.Ajv2020 {
  const { Ajv2020 } = require("ajv/dist/2020.js") as typeof Ajv;
  checker ??= new Ajv2020({ strict: false, allErrors: true });
  return checker;
}

/** TypeBox' names of the types of JSON Schema, by which it knows how texts of a URL are to be read. */
const kinds: Readonly<Record<string, string>> = {
  array: "Array",
  boolean: "Boolean",
  integer: "Integer",
  null: "Null",
  number: "Number",
  object: "Object",
  string: "String",
};

/** A schema as routes take it: JSON Schema with what TypeBox' types have besides, so that "3" can mean 3 in a query. */
export function asSchema(schema: Schema | JsonSchema): Schema {
  return isOfLibrary(schema) ? schema : (withKinds(schema) as Schema);
}

function isOfLibrary(schema: Schema | JsonSchema): schema is Schema {
  return "~standard" in schema || "~kind" in schema;
}

function withKinds(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withKinds);
  if (typeof value !== "object" || value === null) return value;
  const schema = Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, withKinds(inner)]),
  );
  const kind = kindOf(schema);
  // As TypeBox has it: not seen by what reads JSON Schema.
  if (kind !== undefined) Object.defineProperty(schema, "~kind", { value: kind });
  return schema;
}

function kindOf(schema: JsonSchema): string | undefined {
  const { type, properties, items, anyOf } = schema;
  if (Array.isArray(anyOf)) return "Union";
  const only = Array.isArray(type) ? type.filter((name) => name !== "null") : [type];
  const [name] = only;
  if (only.length !== 1 || typeof name !== "string") return undefined;
  if (name === "object" && typeof properties !== "object") return undefined;
  if (name === "array" && typeof items !== "object") return undefined;
  return kinds[name];
}

/** Whether `schema` can be used; what is wrong with it is added, JSON Schema's to the place in the schema. */
export function isSchema(schema: Schema | JsonSchema, at: ConfigPath, problems: Problems): boolean {
  if (!isOfLibrary(schema) && !isJsonSchema(schema, at, problems)) return false;
  try {
    void compileSchema(asSchema(schema)).input;
    return true;
  } catch (error) {
    problems.addError(at, error);
    return false;
  }
}

function isJsonSchema(schema: JsonSchema, at: ConfigPath, problems: Problems): boolean {
  const ajv = schemaChecker();
  if (ajv.validateSchema(schema) === true) return true;
  // Of one place the last error is that of the whole list of alternatives.
  const places = new Map(ajv.errors?.map((error) => [error.instancePath, error]));
  for (const { instancePath, message = "is wrong" } of places.values()) {
    const path = [...at, ...instancePath.split("/").slice(1)];
    problems.add(path, "is no JSON Schema (draft 2020-12)", `It ${message}.`);
  }
  return false;
}
