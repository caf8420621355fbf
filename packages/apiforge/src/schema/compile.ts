import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { TSchema } from "typebox";
import type { TLocalizedValidationError } from "typebox/error";
import { Compile } from "typebox/schema";
import { Convert } from "typebox/value";

import { compileDefaults } from "./defaults.ts";
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

/** TypeBox's own compiler, which follows draft 2020-12 to its dynamic references; `npm run suites` has the score. */
function compileTypeBox<T>(schema: TSchema, source: ValueSource): CompiledSchema<T> {
  // TypeBox types are JSON Schema objects; only their symbol keys are not.
  const jsonSchema: JsonSchema = JSON.parse(JSON.stringify(schema));
  const validator = Compile(jsonSchema);
  const fillDefaults = compileDefaults(jsonSchema);
  return {
    input: jsonSchema,
    output: jsonSchema,
    validate(given): SchemaResult<T> {
      let value: unknown;
      try {
        // Defaults and conversions are written into what they are given.
        value = structuredClone(given);
      } catch {
        return { ok: false, issues: [{ path: "", message: "must be data, without functions" }] };
      }
      if (source === "text") value = Convert(schema, value);
      fillDefaults?.(value);
      if (!validator.Check(value)) {
        return { ok: false, issues: typeBoxIssues(validator.Errors(value)[1]) };
      }
      const misread = source === "text" ? findMisreadNumber(given, value) : undefined;
      if (misread === undefined) return { ok: true, value: value as T };
      return { ok: false, issues: [{ path: misread.join("."), message: "must be number" }] };
    },
  };
}

function typeBoxIssues(errors: readonly TLocalizedValidationError[]): SchemaIssue[] {
  // What an object may not have is reported by it and once more by the `false` that stands for it.
  const [refusals, others] = [
    errors.filter(isRefusal),
    errors.filter((error) => !isRefusal(error)),
  ];
  const issues = others.flatMap(issuesOf);
  const named = new Set(issues.map(({ path }) => path));
  return [...issues, ...refusals.flatMap(issuesOf).filter(({ path }) => !named.has(path))];
}

function isRefusal({ keyword }: TLocalizedValidationError): boolean {
  return keyword === "boolean";
}

function issuesOf(error: TLocalizedValidationError): SchemaIssue[] {
  const path = error.instancePath.split("/").slice(1).map(unescapePointer);
  return fieldsOf(error).map((field) => ({
    path: [...path, ...field].join("."),
    message: error.message,
  }));
}

/** The fields that an issue of an object is about: one empty path where it is about the object itself. */
function fieldsOf({ keyword, params }: TLocalizedValidationError): readonly (readonly string[])[] {
  if (keyword === "required") return params.requiredProperties.map((field) => [field]);
  if (keyword === "additionalProperties")
    return params.additionalProperties.map((field) => [field]);
  if (keyword === "unevaluatedProperties") {
    return params.unevaluatedProperties.map((field) => [String(field)]);
  }
  return [[]];
}

function unescapePointer(token: string): string {
  return token.replaceAll("~1", "/").replaceAll("~0", "~");
}
