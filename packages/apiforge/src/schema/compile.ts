import type { StandardSchemaV1 } from "@standard-schema/spec";
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import type { TSchema } from "typebox";
import { Format } from "typebox/format";

import { findMisreadNumber } from "./misread-number.ts";
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
  json: new Ajv2020({ allErrors: true, useDefaults: true, ownProperties: true, strict: false }),
  text: new Ajv2020({
    allErrors: true,
    useDefaults: true,
    ownProperties: true,
    strict: false,
    coerceTypes: "array",
  }),
} as const;

/**
 * Compiles a schema once, at start, into a function that runs per request.
 * Its JSON Schema is made when it is first asked for: what nobody documents, such as the input of a
 * job, may use what JSON Schema cannot say (the result of a Zod transform); reading that throws
 * what the library throws.
 * @throws {TypeError} when a TypeBox type is no valid JSON Schema.
 */
export function compileSchema<S extends Schema>(
  schema: S,
  source: ValueSource = "json",
): CompiledSchema<SchemaOutput<S>> {
  return isStandardSchema(schema) ? compileStandard(schema) : compileTypeBox(schema, source);
}

const draft = { target: "draft-2020-12" } as const;

function isStandardSchema(schema: Schema): schema is StandardSchema {
  return "~standard" in schema;
}

function compileStandard<T>(schema: StandardSchema): CompiledSchema<T> {
  const standard = schema["~standard"];
  let input: JsonSchema | undefined;
  let output: JsonSchema | undefined;
  return {
    get input() {
      input ??= standard.jsonSchema.input(draft);
      return input;
    },
    get output() {
      output ??= standard.jsonSchema.output(draft);
      return output;
    },
    validate(value) {
      const result = standard.validate(value);
      if (result instanceof Promise) {
        throw new TypeError(
          `A ${standard.vendor} schema validates asynchronously; use a handler for checks that wait`,
        );
      }
      if (result.issues === undefined) return { ok: true, value: result.value as T };
      return { ok: false, issues: result.issues.flatMap(standardIssues) };
    },
  };
}

function standardIssues(issue: StandardSchemaV1.Issue): SchemaIssue[] {
  const keys = issue.path?.map((part) => String(typeof part === "object" ? part.key : part)) ?? [];
  const { message } = issue;
  const unknown = unrecognizedKeys(issue);
  if (unknown.length === 0) return [{ path: keys.join("."), message }];
  return unknown.map((key) => ({ path: [...keys, key].join("."), message }));
}

// Zod reports unknown fields together, at their parent; the caller wants to know which they are.
function unrecognizedKeys(issue: object): string[] {
  return "keys" in issue && Array.isArray(issue.keys) ? issue.keys.map(String) : [];
}

function compileTypeBox<T>(schema: TSchema, source: ValueSource): CompiledSchema<T> {
  // TypeBox types are JSON Schema objects; only their symbol keys are not.
  const jsonSchema: JsonSchema = JSON.parse(JSON.stringify(schema));
  addFormats(ajv[source]);
  const validate: ValidateFunction<T> = ajv[source].compile<T>(jsonSchema);
  return {
    input: jsonSchema,
    output: jsonSchema,
    validate(value): SchemaResult<T> {
      let copy: unknown;
      try {
        // Ajv writes defaults and coerced values into what it is given.
        copy = structuredClone(value);
      } catch {
        return { ok: false, issues: [{ path: "", message: "must be data, without functions" }] };
      }
      if (!validate(copy)) return { ok: false, issues: (validate.errors ?? []).map(ajvIssue) };
      const misread = source === "text" ? findMisreadNumber(value, copy) : undefined;
      if (misread === undefined) return { ok: true, value: copy };
      return { ok: false, issues: [{ path: misread.join("."), message: "must be number" }] };
    },
  };
}

/** Ajv knows no format by itself and would let any text through, so it gets TypeBox's own checks. */
function addFormats(instance: Ajv2020): void {
  for (const [name, check] of Format.Entries()) instance.addFormat(name, check);
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
