import type { StandardSchemaV1 } from "@standard-schema/spec";

import { compileTypeBox, type ValueSource } from "./compile-typebox.ts";
import type {
  CompiledSchema,
  JsonSchema,
  Schema,
  SchemaIssue,
  SchemaOutput,
  StandardSchema,
} from "./schema.ts";

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
