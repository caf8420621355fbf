import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import type { Static, TSchema } from "typebox";

/** A schema of a library that validates by itself and can say its JSON Schema (Zod 4.2+, and others). */
export type StandardSchema = {
  readonly "~standard": StandardSchemaV1.Props & StandardJSONSchemaV1.Props;
};

/** What a route, event or job may be declared with: a Standard Schema (Zod) or TypeBox. */
export type Schema = StandardSchema | TSchema;

/** The type that a caller may send. */
export type SchemaInput<S extends Schema> = S extends {
  readonly "~standard": { readonly types?: { readonly input: infer I } | undefined };
}
  ? I
  : S extends TSchema
    ? Static<S>
    : never;

/** The type that a handler receives after validation. */
export type SchemaOutput<S extends Schema> = S extends {
  readonly "~standard": { readonly types?: { readonly output: infer O } | undefined };
}
  ? O
  : S extends TSchema
    ? Static<S>
    : never;

/** JSON Schema, draft 2020-12. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  /** Path from the value's root, for example `items.0.price`; empty for the value itself. */
  readonly path: string;
  readonly message: string;
}

/** The outcome of validating one value; a refusal lists every issue found. */
export type SchemaResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly issues: readonly SchemaIssue[] };

/** A schema ready to run. */
export interface CompiledSchema<T> {
  /** Checks `value` and applies defaults and conversions. Never throws for bad values. */
  validate(value: unknown): SchemaResult<T>;
  /** What may come in, for OpenAPI. */
  readonly input: JsonSchema;
  /** What may go out, for OpenAPI and for the response allow-list. */
  readonly output: JsonSchema;
}
