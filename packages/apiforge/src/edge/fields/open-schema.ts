import type { JsonSchema } from "../../schema/index.ts";

const schemaKeywords = new Set([
  "additionalProperties",
  "unevaluatedProperties",
  "items",
  "unevaluatedItems",
  "contains",
  "propertyNames",
  "not",
  "if",
  "then",
  "else",
]);
const schemaMapKeywords = new Set([
  "properties",
  "patternProperties",
  "dependentSchemas",
  "$defs",
  "definitions",
]);
const schemaListKeywords = new Set(["allOf", "anyOf", "oneOf", "prefixItems"]);

/** True for what stands where JSON Schema has a schema that is not `true` or `false`. */
export function isSchemaObject(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * The same schema without its word on undeclared fields, which are refused or removed apart from
 * it: a branch of a union then matches by the fields it knows. `oneOf` becomes `anyOf`, since
 * branches that differ in fields alone may now match together.
 */
export function openSchema(schema: JsonSchema): JsonSchema {
  const opened: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (
      value === false &&
      (keyword === "additionalProperties" || keyword === "unevaluatedProperties")
    )
      continue;
    if (keyword === "oneOf" && schema["anyOf"] === undefined)
      opened["anyOf"] = openAt(keyword, value);
    else opened[keyword] = openAt(keyword, value);
  }
  return opened;
}

function openAt(keyword: string, value: unknown): unknown {
  if (schemaKeywords.has(keyword)) return openIfSchema(value);
  if (schemaListKeywords.has(keyword) && Array.isArray(value)) return value.map(openIfSchema);
  if (schemaMapKeywords.has(keyword) && isSchemaObject(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([name, child]) => [name, openIfSchema(child)]),
    );
  }
  return value;
}

function openIfSchema(value: unknown): unknown {
  return isSchemaObject(value) ? openSchema(value) : value;
}
