export { compileSchema } from "./compile.ts";
export type { ValueSource } from "./compile-typebox.ts";
export type {
  CompiledSchema,
  JsonSchema,
  Schema,
  SchemaInput,
  SchemaIssue,
  SchemaOutput,
  SchemaResult,
} from "./schema.ts";
