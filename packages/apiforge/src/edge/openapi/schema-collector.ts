import type { JsonSchema } from "../../schema/index.ts";
import { findById } from "../fields/field-tree.ts";
import { isSchemaObject } from "../fields/open-schema.ts";

/**
 * Puts JSON Schemas into an OpenAPI document. References inside a schema start at the schema's own
 * root, those inside a document at the document's, so a schema that contains references becomes a
 * component and its references are rewritten.
 */
export class SchemaCollector {
  readonly schemas: Record<string, unknown> = {};

  /** What stands for `schema` in the document. `name` is unique in the document. */
  place(schema: JsonSchema, name: string): unknown {
    const { $schema: _, ...bare } = schema;
    if (!containsReference(bare)) return bare;
    this.schemas[name] = rewrite(bare, bare, `#/components/schemas/${name}`);
    return { $ref: `#/components/schemas/${name}` };
  }
}

function containsReference(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return "$ref" in value || Object.values(value).some(containsReference);
}

function rewrite(value: unknown, root: JsonSchema, base: string): unknown {
  if (Array.isArray(value)) return value.map((child) => rewrite(child, root, base));
  if (!isSchemaObject(value)) return value;
  const rewritten: Record<string, unknown> = {};
  for (const [keyword, child] of Object.entries(value)) {
    // Pointers replace names, and a name would start a resource that pointers do not cross.
    if (keyword === "$id" && typeof child === "string") continue;
    rewritten[keyword] =
      keyword === "$ref" && typeof child === "string"
        ? `${base}${pointerOf(root, child)}`
        : rewrite(child, root, base);
  }
  return rewritten;
}

function pointerOf(root: JsonSchema, reference: string): string {
  if (reference.startsWith("#")) return reference.slice(1);
  return findById(root, reference, "")?.pointer ?? "";
}
