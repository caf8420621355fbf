import type { StandardSchemaV1 } from "@standard-schema/spec";
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import type { TSchema } from "typebox";

import type {
  CompiledSchema,
  JsonSchema,
  Schema,
  SchemaIssue,
  SchemaOutput,
  SchemaResult,
  StandardSchema,
} from "./schema.ts";

/** How values reach the schema: `json` as they are, `text` from a URL or header, where "3" may mean 3. */
export type ValueSource = "json" | "text";

const ajv = {
  json: new Ajv2020({ allErrors: true, useDefaults: true, strict: false }),
  text: new Ajv2020({ allErrors: true, useDefaults: true, strict: false, coerceTypes: "array" }),
} as const;

/**
 * Compiles a schema once, at start, into a function that runs per request.
 * @throws {TypeError} when a Standard Schema validates asynchronously or cannot say its JSON Schema.
 */
export function compileSchema<S extends Schema>(
  schema: S,
  source: ValueSource = "json",
): CompiledSchema<SchemaOutput<S>> {
  return isStandardSchema(schema) ? compileStandard(schema) : compileTypeBox(schema, source);
}

function isStandardSchema(schema: Schema): schema is StandardSchema {
  return "~standard" in schema;
}

function compileStandard<T>(schema: StandardSchema): CompiledSchema<T> {
  const standard = schema["~standard"];
  return {
    input: standard.jsonSchema.input({ target: "draft-2020-12" }),
    output: standard.jsonSchema.output({ target: "draft-2020-12" }),
    validate(value) {
      const result = standard.validate(value);
      if (result instanceof Promise) {
        throw new TypeError(
          `A ${standard.vendor} schema validates asynchronously; use a handler for checks that wait`,
        );
      }
      if (result.issues === undefined) return { ok: true, value: result.value as T };
      return { ok: false, issues: result.issues.map(standardIssue) };
    },
  };
}

function standardIssue(issue: StandardSchemaV1.Issue): SchemaIssue {
  const keys = issue.path?.map((part) => String(typeof part === "object" ? part.key : part)) ?? [];
  return { path: [...keys, ...unrecognizedKey(issue)].join("."), message: issue.message };
}

// Zod reports an unknown field at its parent; the caller wants to know which field.
function unrecognizedKey(issue: object): string[] {
  return "keys" in issue && Array.isArray(issue.keys) && issue.keys.length > 0
    ? [String(issue.keys[0])]
    : [];
}

function compileTypeBox<T>(schema: TSchema, source: ValueSource): CompiledSchema<T> {
  // TypeBox types are JSON Schema objects; only their symbol keys are not.
  const jsonSchema: JsonSchema = JSON.parse(JSON.stringify(schema));
  const validate: ValidateFunction<T> = ajv[source].compile<T>(jsonSchema);
  return {
    input: jsonSchema,
    output: jsonSchema,
    validate(value): SchemaResult<T> {
      // Ajv writes defaults and coerced values into what it is given.
      const copy: unknown = structuredClone(value);
      if (validate(copy)) return { ok: true, value: copy };
      return { ok: false, issues: (validate.errors ?? []).map(ajvIssue) };
    },
  };
}

function ajvIssue(error: ErrorObject): SchemaIssue {
  const path = error.instancePath.split("/").slice(1).map(unescapePointer);
  return { path: [...path, ...ajvField(error)].join("."), message: error.message ?? "is invalid" };
}

function ajvField(error: ErrorObject): string[] {
  const { params } = error;
  const field: unknown =
    params["missingProperty"] ?? params["additionalProperty"] ?? params["unevaluatedProperty"];
  return typeof field === "string" ? [field] : [];
}

function unescapePointer(token: string): string {
  return token.replaceAll("~1", "/").replaceAll("~0", "~");
}
