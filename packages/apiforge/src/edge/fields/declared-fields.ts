import { Ajv2020 } from "ajv/dist/2020.js";

import type { JsonSchema } from "../../schema/index.ts";
import { buildFieldTree, joinNodes, type FieldNode } from "./field-tree.ts";
import { openSchema } from "./open-schema.ts";
import { setField } from "./set-field.ts";

/** The fields that a schema declares, ready to be applied to values. */
export interface DeclaredFields {
  /** Path of the first field of `value` that is not declared, for example `items.0.price`. */
  findUndeclared(value: unknown): string | undefined;
  /** What `value` is without undeclared fields, at any depth. Fields that are undefined go too. */
  project(value: unknown): unknown;
  /** True where `value` is known at a glance to become the same JSON as its {@link project}. */
  isPlain(value: unknown): boolean;
  /** Why `value` does not satisfy the schema, undeclared fields aside; undefined when it does. */
  findMismatch(value: unknown): string | undefined;
  /** What is declared, place by place. */
  readonly root: FieldNode;
}

// Ids only keep the schemas in one Ajv apart; nothing is fetched.
const ajv = new Ajv2020({
  strict: false,
  strictNumbers: true,
  validateFormats: false,
  // A field called `constructor` is absent from `{}`, whatever its prototype says.
  ownProperties: true,
});
let schemas = 0;

/**
 * Compiles the allow-list that a JSON Schema is. An object declares what `properties`,
 * `patternProperties` and an `additionalProperties` schema name, in every subschema that applies
 * to the value; silence about other fields declares none. A place that says nothing (`{}`) is free.
 * @throws {TypeError} for a reference that points nowhere, and Ajv's errors for a broken schema.
 */
export function compileDeclaredFields(schema: JsonSchema): DeclaredFields {
  const { $id: _, $schema: __, ...rest } = openSchema(schema);
  const id = `https://schema.invalid/${++schemas}/`;
  ajv.addSchema(rest, id);
  const validate = ajv.compile({ $ref: `${id}#` });
  const root = buildFieldTree(rest, (pointer) => {
    const matches = ajv.compile({ $ref: `${id}#${pointer}` });
    return (value) => matches(value);
  });
  return {
    root,
    findUndeclared: (value) => findUndeclared(root, value),
    project: (value) => project(root, value),
    isPlain: (value) => isPlain(root, value),
    findMismatch(value) {
      if (validate(value)) return undefined;
      return ajv.errorsText(validate.errors, { dataVar: "body" });
    },
  };
}

function findUndeclared(node: FieldNode, value: unknown): string | undefined {
  if (node.isFree || typeof value !== "object" || value === null) return undefined;
  const applied = appliedNodes(node, value);
  // A value that no branch matches is refused by validation, which can say why.
  if (applied.length === 0) return undefined;
  return Array.isArray(value)
    ? undeclaredInItems(applied, value)
    : undeclaredInFields(applied, value);
}

function undeclaredInFields(applied: readonly FieldNode[], value: object): string | undefined {
  for (const name of Object.keys(value)) {
    const child = fieldNode(applied, name);
    if (child === undefined) return name;
    const found = findUndeclared(child, Reflect.get(value, name));
    if (found !== undefined) return `${name}.${found}`;
  }
  return undefined;
}

function undeclaredInItems(
  applied: readonly FieldNode[],
  values: readonly unknown[],
): string | undefined {
  for (let index = 0; index < values.length; index++) {
    const item = itemNode(applied, index);
    const found = item === undefined ? undefined : findUndeclared(item, values[index]);
    if (found !== undefined) return `${index}.${found}`;
  }
  return undefined;
}

function project(node: FieldNode, value: unknown): unknown {
  if (node.isFree || typeof value !== "object" || value === null) return value;
  const applied = appliedNodes(node, value);
  if (applied.length === 0) return value;
  return Array.isArray(value) ? projectItems(applied, value) : projectFields(applied, value);
}

function projectFields(applied: readonly FieldNode[], value: object): object {
  const result: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    const field: unknown = Reflect.get(value, name);
    const node = field === undefined ? undefined : fieldNode(applied, name);
    if (node !== undefined) setField(result, name, project(node, field));
  }
  return result;
}

function projectItems(applied: readonly FieldNode[], values: readonly unknown[]): unknown[] {
  return values.map((value, index) => {
    const node = itemNode(applied, index);
    return node === undefined ? value : project(node, value);
  });
}

/** A quarter of what a projection costs, and most replies are plain. */
function isPlain(node: FieldNode, value: unknown): boolean {
  if (node.isFree || typeof value !== "object" || value === null) return true;
  if (node.always.length > 0 || node.sometimes.length > 0 || "toJSON" in value) return false;
  if (Array.isArray(value)) return hasPlainItems(node, value);
  if (node.patterns.length > 0) return false;
  // All that JSON has of an object is among these.
  for (const name in value) {
    const child = node.properties.get(name) ?? node.additional;
    if (child === undefined) return false;
    if (!child.isFree && !isPlain(child, Reflect.get(value, name))) return false;
  }
  return true;
}

function hasPlainItems({ prefixItems, items }: FieldNode, values: readonly unknown[]): boolean {
  if (prefixItems.length > 0) return false;
  return items === undefined || items.isFree || values.every((value) => isPlain(items, value));
}

/** The nodes with a word of their own that hold for `value`; most often `node` alone. */
function appliedNodes(node: FieldNode, value: object): readonly FieldNode[] {
  if (node.always.length === 0 && node.sometimes.length === 0) return node.self;
  const applied = new Set<FieldNode>();
  collectApplied(node, value, applied);
  return [...applied];
}

function collectApplied(node: FieldNode, value: object, applied: Set<FieldNode>): void {
  if (applied.has(node)) return;
  if (node.speaks) applied.add(node);
  for (const part of node.always) collectApplied(part, value, applied);
  for (const branch of node.sometimes) {
    if (branch.matches(value)) collectApplied(branch.node, value, applied);
  }
}

function fieldNode(applied: readonly FieldNode[], name: string): FieldNode | undefined {
  const [first] = applied;
  if (applied.length === 1 && first !== undefined && first.patterns.length === 0) {
    return first.properties.get(name) ?? first.additional;
  }
  return together(applied.flatMap((node) => fieldNodes(node, name)));
}

function fieldNodes(node: FieldNode, name: string): FieldNode[] {
  const found = node.patterns.filter(([pattern]) => pattern.test(name)).map(([, child]) => child);
  const property = node.properties.get(name);
  if (property !== undefined) found.push(property);
  if (found.length === 0 && node.additional !== undefined) found.push(node.additional);
  return found;
}

function itemNode(applied: readonly FieldNode[], index: number): FieldNode | undefined {
  return together(
    applied
      .map((node) => node.prefixItems[index] ?? node.items)
      .filter((node) => node !== undefined),
  );
}

function together(nodes: readonly FieldNode[]): FieldNode | undefined {
  return nodes.length < 2 ? nodes[0] : joinNodes(nodes);
}
