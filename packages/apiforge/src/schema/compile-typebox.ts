import { createRequire } from "node:module";
import type { TSchema } from "typebox";
import type { TLocalizedValidationError } from "typebox/error";
import type * as TypeBoxSchema from "typebox/schema";
import type * as TypeBoxValue from "typebox/value";

import { compileDefaults } from "./defaults.ts";
import { findMisreadNumber } from "./misread-number.ts";
import type { CompiledSchema, JsonSchema, SchemaIssue, SchemaResult } from "./schema.ts";

/** How values reach the schema: `json` as they are, `text` from a URL or header, where "3" may mean 3. */
export type ValueSource = "json" | "text";

const require = createRequire(import.meta.url);

/** Loaded with the first TypeBox type: who declares with Zod alone would start 140 ms later and with 29 MB more. */
function loadTypeBox() {
  const { Compile } = require("typebox/schema") as typeof TypeBoxSchema;
  const { Convert } = require("typebox/value") as typeof TypeBoxValue;
  return { Compile, Convert };
}

/**
 * A TypeBox type by TypeBox's own compiler, which follows draft 2020-12 to its dynamic references;
 * `npm run suites` has the score.
 * @throws {TypeError} when it is no valid JSON Schema.
 */
export function compileTypeBox<T>(schema: TSchema, source: ValueSource): CompiledSchema<T> {
  // TypeBox types are JSON Schema objects; only their symbol keys are not.
  const jsonSchema: JsonSchema = JSON.parse(JSON.stringify(schema));
  const { Compile, Convert } = loadTypeBox();
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
