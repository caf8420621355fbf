import type { Resolve, SchemaObject } from "./document.ts";
import { html, type Html, type HtmlPart } from "./html.ts";

// Deeper than this a reader looks into /openapi.json.
const maxDepth = 6;

/** The fields of a schema, with what is in them folded below; undefined for one without any. */
export function schemaTree(schema: SchemaObject, resolve: Resolve, depth = 0): Html | undefined {
  const whole = resolve(schema);
  const branches = [...(whole.anyOf ?? []), ...(whole.oneOf ?? [])].filter(isNoNull);
  const [only] = branches;
  if (branches.length === 1 && only !== undefined) return schemaTree(only, resolve, depth);
  if (branches.length > 1) return choice(branches, resolve, depth);
  if (whole.items !== undefined && typeof whole.items === "object") {
    return schemaTree(whole.items, resolve, depth);
  }
  const fields = fieldsOf(whole, resolve);
  if (fields.length === 0 || depth >= maxDepth) return undefined;
  return html`<ul class="fields">
    ${fields.map(({ name, field, required }) => fieldRow(name, field, required, resolve, depth))}
  </ul>`;
}

function choice(
  branches: readonly SchemaObject[],
  resolve: Resolve,
  depth: number,
): Html | undefined {
  const trees = branches.map((branch) => schemaTree(branch, resolve, depth));
  if (trees.every((tree) => tree === undefined)) return undefined;
  return html`${trees.map(
    (tree, index) =>
      tree &&
      html`<p class="or">${index === 0 ? "one of" : "or"}</p>
        ${tree}`,
  )}`;
}

interface Field {
  readonly name: string;
  readonly field: SchemaObject;
  readonly required: boolean;
}

function fieldsOf(schema: SchemaObject, resolve: Resolve): readonly Field[] {
  const own = Object.entries(schema.properties ?? {}).map(([name, field]) => ({
    name,
    field,
    required: schema.required?.includes(name) === true,
  }));
  const parts = (schema.allOf ?? []).flatMap((part) => fieldsOf(resolve(part), resolve));
  const { additionalProperties: others } = schema;
  const named = typeof others === "object" && Object.keys(others).length > 0;
  return [...own, ...parts, ...(named ? [{ name: "…", field: others, required: false }] : [])];
}

function fieldRow(
  name: string,
  field: SchemaObject,
  required: boolean,
  resolve: Resolve,
  depth: number,
): Html {
  const inside = schemaTree(field, resolve, depth + 1);
  const head = html`<code class="name">${name}</code>
    <span class="type">${typeName(field, resolve)}</span>
    ${required ? "" : html`<span class="optional">optional</span>`} ${notes(resolve(field))}`;
  if (inside === undefined) return html`<li>${head}</li>`;
  return html`<li>
    <details ${depth === 0 ? html`open` : ""}>
      <summary>${head}</summary>
      ${inside}
    </details>
  </li>`;
}

function isNoNull(schema: SchemaObject): boolean {
  return schema.type !== "null";
}

/** What a value is, in a word or two: `string`, `integer[]`, `string or null`. */
export function typeName(schema: SchemaObject, resolve: Resolve, depth = 0): string {
  const whole = resolve(schema);
  const branches = whole.anyOf ?? whole.oneOf;
  if (branches !== undefined && depth < maxDepth) {
    return [...new Set(branches.map((branch) => typeName(branch, resolve, depth + 1)))].join(
      " or ",
    );
  }
  if (whole.const !== undefined) return JSON.stringify(whole.const);
  if (whole.enum !== undefined) return whole.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (typeof whole.items === "object" && depth < maxDepth) {
    const item = typeName(whole.items, resolve, depth + 1);
    return item.includes(" ") ? `(${item})[]` : `${item}[]`;
  }
  const types = [whole.type ?? (whole.properties === undefined ? "any" : "object")].flat();
  return types.map((type) => (type === "array" ? "any[]" : type)).join(" or ");
}

/** What is said of a value beside its type. */
export function notes(schema: SchemaObject): Html {
  const { format, minimum, maximum, minLength, maxLength, minItems, maxItems, pattern } = schema;
  const said: HtmlPart[] = [
    format !== undefined && html`<code>${format}</code>`,
    range(minimum, maximum, ""),
    range(minLength, maxLength, " characters"),
    range(minItems, maxItems, " items"),
    schema.default !== undefined && `default ${JSON.stringify(schema.default)}`,
    // A format says the same in a word.
    pattern !== undefined && format === undefined && html`<code>${pattern}</code>`,
    schema.description,
  ];
  return html`${said.filter(Boolean).map((note) => html`<span class="note">${note}</span> `)}`;
}

function range(from: number | undefined, to: number | undefined, of: string): string | undefined {
  // The ends of what JSON can count say nothing.
  const least = from === undefined || from <= Number.MIN_SAFE_INTEGER ? undefined : from;
  const most = to === undefined || to >= Number.MAX_SAFE_INTEGER ? undefined : to;
  if (least === undefined && most === undefined) return undefined;
  if (most === undefined) return `from ${least}${of}`;
  return least === undefined ? `up to ${most}${of}` : `${least} to ${most}${of}`;
}
