import type { JsonSchema } from "./schema.ts";

/** Writes defaults into a value. */
type Fill = (value: unknown) => void;

/**
 * What fills a value's missing fields with the defaults of `schema`, in objects and arrays at any
 * depth; undefined for a schema without any. A default inside a choice (`anyOf`, `if`, a reference)
 * is not filled in: which branch holds is known only after validation. TypeBox's own `Default`
 * copies the branches of a union and loses a field called `constructor` on the way.
 */
export function compileDefaults(schema: unknown): Fill | undefined {
  if (!isObject(schema)) return undefined;
  const fills = [
    ...list(schema["allOf"]).map(compileDefaults),
    fieldDefaults(schema),
    itemDefaults(schema),
  ].filter((fill) => fill !== undefined);
  if (fills.length === 0) return undefined;
  return (value) => fills.forEach((fill) => fill(value));
}

function fieldDefaults({ properties }: JsonSchema): Fill | undefined {
  if (!isObject(properties)) return undefined;
  const fields = Object.entries(properties)
    .map(([name, field]) => ({ name, field, fill: compileDefaults(field) }))
    .filter(({ field, fill }) => fill !== undefined || hasDefault(field));
  if (fields.length === 0) return undefined;
  return function fillFields(value) {
    if (!isObject(value)) return;
    for (const { name, field, fill } of fields) {
      if (!Object.hasOwn(value, name) && hasDefault(field)) {
        Object.defineProperty(value, name, { ...ownField, value: structuredClone(field.default) });
      }
      if (Object.hasOwn(value, name)) fill?.(value[name]);
    }
  };
}

function itemDefaults({ items, prefixItems }: JsonSchema): Fill | undefined {
  // TypeBox's tuples have their items in `items`, as drafts before 2020-12 did.
  const first = [...list(prefixItems), ...list(items)].map(compileDefaults);
  const rest = compileDefaults(items);
  if (rest === undefined && first.every((fill) => fill === undefined)) return undefined;
  return function fillItems(value) {
    if (!Array.isArray(value)) return;
    value.forEach((item: unknown, index) => (index < first.length ? first[index] : rest)?.(item));
  };
}

// Assignment to `__proto__` would set the prototype instead.
const ownField = { enumerable: true, configurable: true, writable: true };

function hasDefault(schema: unknown): schema is { readonly default: unknown } {
  return isObject(schema) && schema["default"] !== undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
