export { compileSchema, type ValueSource } from "./compile.ts";
export type {
  CompiledSchema,
  JsonSchema,
  Schema,
  SchemaInput,
  SchemaIssue,
  SchemaOutput,
  SchemaResult,
} from "./schema.ts";
