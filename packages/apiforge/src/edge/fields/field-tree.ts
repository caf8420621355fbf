import type { JsonSchema } from "../../schema/index.ts";
import { isSchemaObject } from "./open-schema.ts";

/** What one place of a schema says about the fields of the values there. */
export interface FieldNode {
  /** Says nothing about fields, here or by reference: values stay as they are. */
  isFree: boolean;
  /** Has values without fields only: a constant, a text, a number. */
  isScalar: boolean;
  /** Says something itself, not only through `always` and `sometimes`. */
  speaks: boolean;
  /** The list of this node alone, made once. */
  readonly self: readonly FieldNode[];
  readonly properties: Map<string, FieldNode>;
  readonly patterns: [RegExp, FieldNode][];
  /** Of every other field; undefined when there is no such field. */
  additional: FieldNode | undefined;
  readonly prefixItems: FieldNode[];
  items: FieldNode | undefined;
  /** Nodes that hold for the same value always (`$ref`, `allOf`). */
  readonly always: FieldNode[];
  /** Nodes that hold for the same value when it matches (`anyOf`, `oneOf`, `if`). */
  readonly sometimes: { readonly matches: (value: unknown) => boolean; readonly node: FieldNode }[];
}

const fieldKeywords = [
  "properties",
  "patternProperties",
  "additionalProperties",
  "unevaluatedProperties",
  "items",
  "prefixItems",
];
const branchKeywords = ["$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas"];

/** Answers whether a value satisfies the subschema at a JSON pointer. */
export type MatcherAt = (pointer: string) => (value: unknown) => boolean;

/**
 * The fields that `root` declares. References and branches are followed as JSON Schema
 * (2020-12 core, sections 8.2.3 and 10) evaluates them: a field is declared where some subschema
 * that applies to the value names it.
 * @throws {TypeError} for a reference that points nowhere.
 */
export function buildFieldTree(root: JsonSchema, matcherAt: MatcherAt): FieldNode {
  return new TreeBuilder(root, matcherAt).build(root, "");
}

class TreeBuilder {
  readonly #root: JsonSchema;
  readonly #matcherAt: MatcherAt;
  // By identity, so that a schema that contains itself becomes a tree that contains itself.
  readonly #built = new Map<JsonSchema, FieldNode>();

  constructor(root: JsonSchema, matcherAt: MatcherAt) {
    this.#root = root;
    this.#matcherAt = matcherAt;
  }

  build(schema: unknown, pointer: string): FieldNode {
    if (!isSchemaObject(schema)) return emptyNode();
    const built = this.#built.get(schema);
    if (built !== undefined) return built;
    const node = emptyNode();
    this.#built.set(schema, node);
    // A constant leaves as it is: validation has compared it in depth.
    node.isScalar = isScalar(schema);
    if ("const" in schema || "enum" in schema) return node;
    node.speaks = isContainer(schema["type"]) || fieldKeywords.some((keyword) => keyword in schema);
    node.isFree = !node.speaks && !branchKeywords.some((keyword) => keyword in schema);
    this.#addFields(node, schema, pointer);
    this.#addItems(node, schema, pointer);
    this.#addBranches(node, schema, pointer);
    return node;
  }

  #addFields(node: FieldNode, schema: JsonSchema, pointer: string): void {
    for (const [name, child] of entries(schema["properties"])) {
      node.properties.set(name, this.build(child, `${pointer}/properties/${token(name)}`));
    }
    for (const [pattern, child] of entries(schema["patternProperties"])) {
      const at = `${pointer}/patternProperties/${token(pattern)}`;
      node.patterns.push([new RegExp(pattern, "u"), this.build(child, at)]);
    }
    for (const keyword of ["additionalProperties", "unevaluatedProperties"]) {
      const additional = schema[keyword];
      if (additional !== undefined && additional !== false) {
        node.additional = this.build(additional, `${pointer}/${keyword}`);
      }
    }
  }

  #addItems(node: FieldNode, schema: JsonSchema, pointer: string): void {
    list(schema["prefixItems"]).forEach((child, index) => {
      node.prefixItems.push(this.build(child, `${pointer}/prefixItems/${index}`));
    });
    if (schema["items"] !== undefined) node.items = this.build(schema["items"], `${pointer}/items`);
  }

  #addBranches(node: FieldNode, schema: JsonSchema, pointer: string): void {
    const reference = schema["$ref"];
    if (typeof reference === "string") node.always.push(this.#resolve(reference));
    list(schema["allOf"]).forEach((child, index) => {
      node.always.push(this.build(child, `${pointer}/allOf/${index}`));
    });
    for (const keyword of ["anyOf", "oneOf"]) {
      list(schema[keyword]).forEach((child, index) => {
        const at = `${pointer}/${keyword}/${index}`;
        node.sometimes.push({ matches: this.#matcherAt(at), node: this.build(child, at) });
      });
    }
    if (schema["if"] !== undefined) this.#addCondition(node, schema, pointer);
    for (const [name, child] of entries(schema["dependentSchemas"])) {
      const at = `${pointer}/dependentSchemas/${token(name)}`;
      node.sometimes.push({
        matches: (value) => isSchemaObject(value) && Object.hasOwn(value, name),
        node: this.build(child, at),
      });
    }
  }

  #addCondition(node: FieldNode, schema: JsonSchema, pointer: string): void {
    const matches = this.#matcherAt(`${pointer}/if`);
    node.sometimes.push({ matches, node: this.build(schema["if"], `${pointer}/if`) });
    if (schema["then"] !== undefined) {
      node.sometimes.push({ matches, node: this.build(schema["then"], `${pointer}/then`) });
    }
    if (schema["else"] !== undefined) {
      const otherwise = this.build(schema["else"], `${pointer}/else`);
      node.sometimes.push({ matches: (value) => !matches(value), node: otherwise });
    }
  }

  #resolve(reference: string): FieldNode {
    const found = reference.startsWith("#")
      ? followPointer(this.#root, reference.slice(1))
      : findById(this.#root, reference, "");
    if (found === undefined) {
      throw new TypeError(`The schema refers to ${reference}, which it does not contain`);
    }
    return this.build(found.schema, found.pointer);
  }
}

/** A node that says what all of `nodes` say of the same value. */
export function joinNodes(nodes: readonly FieldNode[]): FieldNode {
  const joined = emptyNode();
  joined.isFree = nodes.every((node) => node.isFree);
  joined.always.push(...nodes);
  return joined;
}

function emptyNode(): FieldNode {
  const self: FieldNode[] = [];
  const node: FieldNode = {
    isFree: true,
    isScalar: false,
    speaks: false,
    self,
    properties: new Map(),
    patterns: [],
    additional: undefined,
    prefixItems: [],
    items: undefined,
    always: [],
    sometimes: [],
  };
  self.push(node);
  return node;
}

function isContainer(type: unknown): boolean {
  return typesOf(type).includes("object");
}

function isScalar(schema: JsonSchema): boolean {
  if ("const" in schema || "enum" in schema) return true;
  const types = typesOf(schema["type"]);
  return types.length > 0 && !types.includes("object") && !types.includes("array");
}

function typesOf(type: unknown): readonly unknown[] {
  if (type === undefined) return [];
  return Array.isArray(type) ? type : [type];
}

/** A subschema with its JSON pointer. */
export interface Located {
  readonly schema: unknown;
  readonly pointer: string;
}

function followPointer(root: JsonSchema, pointer: string): Located | undefined {
  let schema: unknown = root;
  for (const part of pointer.split("/").slice(1)) {
    const name = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof schema !== "object" || schema === null || !Object.hasOwn(schema, name))
      return undefined;
    schema = Reflect.get(schema, name);
  }
  return { schema, pointer };
}

/**
 * Finds the subschema whose `$id` is `id`: TypeBox names the members of a cyclic type so and
 * refers to them by that name.
 */
export function findById(schema: unknown, id: string, pointer: string): Located | undefined {
  if (typeof schema !== "object" || schema === null) return undefined;
  if (Reflect.get(schema, "$id") === id) return { schema, pointer };
  for (const [name, child] of Object.entries(schema)) {
    const found = findById(child, id, `${pointer}/${token(name)}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function token(name: string): string {
  return encodeURIComponent(name.replaceAll("~", "~0").replaceAll("/", "~1"));
}

function entries(value: unknown): [string, unknown][] {
  return isSchemaObject(value) ? Object.entries(value) : [];
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
