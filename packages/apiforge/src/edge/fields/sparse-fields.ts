import { compileSchema, type Schema } from "../../schema/index.ts";
import { edgeError } from "../errors.ts";
import type { Route } from "../route.ts";
import { StreamReply } from "../stream-reply.ts";
import { TextReply } from "../text-reply.ts";
import { compileDeclaredFields } from "./declared-fields.ts";
import { declaredNames, declaresPath, declaresSome } from "./declared-path.ts";
import type { FieldNode } from "./field-tree.ts";
import { replyFields } from "./reply-fields.ts";
import { select, selectionOf, type Selection } from "./selection.ts";

/** What a caller asked for by `?fields=`. */
export interface AskedFields {
  /** As it was sent. */
  readonly text: string;
  readonly selection: Selection;
}

const param = "query.fields";
const maxTextChars = 2_000;
const dataName = "data";
const aroundData: ReadonlySet<string> = new Set([dataName, "success", "hasMore", "nextCursor"]);

/**
 * Reads the `?fields=` of one route; undefined for a route that has none: see `fields` of a route.
 * What it reads throws `unknown_field` and `validation_failed`.
 * @throws {TypeError} for a route that says it has some and cannot.
 */
export function sparseFields(route: Route): ((given: unknown) => AskedFields) | undefined {
  const isWanted = route.fields ?? route.method === "GET";
  if (!isWanted) return undefined;
  const roots = successSchemas(route).map((schema) => replyFields(schema).root);
  const hindrance = hindranceOf(route, roots);
  if (hindrance === undefined) return reader(roots);
  if (route.fields === undefined) return undefined;
  throw new TypeError(`Route ${route.method} ${route.path}: fields: ${hindrance}`);
}

/** Leaves of a body of `schema` what was asked for. */
export function fieldSelector(schema: Schema): (asked: AskedFields, body: unknown) => unknown {
  if (!wrapsData(replyFields(schema).root)) return ({ selection }, body) => select(selection, body);
  return function selectInData({ selection }, body) {
    if (typeof body !== "object" || body === null) return body;
    return { ...body, [dataName]: select(selection, Reflect.get(body, dataName)) };
  };
}

function successSchemas({ replies }: Route): Schema[] {
  const schemas: Schema[] = [];
  for (const [status, reply] of Object.entries(replies)) {
    if (!status.startsWith("2") || reply === null) continue;
    if (!(reply instanceof StreamReply || reply instanceof TextReply)) schemas.push(reply);
  }
  return schemas;
}

function hindranceOf({ query }: Route, roots: readonly FieldNode[]): string | undefined {
  if (query !== undefined && declaredNames(queryFields(query)).has("fields")) {
    return "the query declares a parameter of that name";
  }
  return roots.some(declaresSome) ? undefined : "no reply of status 2xx declares any";
}

function queryFields(query: Schema): FieldNode {
  return compileDeclaredFields(compileSchema(query, "text").input).root;
}

function reader(roots: readonly FieldNode[]): (given: unknown) => AskedFields {
  const places = roots.map((root) => ({ root, above: wrapsData(root) ? [dataName] : [] }));
  return function readFields(given) {
    if (typeof given !== "string" || given.length > maxTextChars) {
      throw refused(`fields is one list of names, of ${maxTextChars} characters at most`);
    }
    const paths = given.split(",").map((path) => path.split("."));
    for (const path of paths) {
      if (path.includes("")) throw refused("fields is a list of names, such as id,owner.email");
      if (places.some(({ root, above }) => declaresPath(root, [...above, ...path]))) continue;
      const name = shorten(path.join("."));
      throw edgeError("unknown_field", `${name} is not a field of this answer`, { param });
    }
    return { text: given, selection: selectionOf(paths) };
  };
}

/** A page, and an answer that says `success` around what it is about: names are those of its data. */
function wrapsData(root: FieldNode): boolean {
  const names = declaredNames(root);
  return names.has(dataName) && [...names].every((name) => aroundData.has(name));
}

function refused(message: string): Error {
  return edgeError("validation_failed", message, { param });
}

function shorten(name: string): string {
  return name.length <= 100 ? name : `${name.slice(0, 100)}…`;
}
