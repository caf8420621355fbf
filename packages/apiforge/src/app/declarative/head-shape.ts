import {
  reservedField,
  type HeadChanges,
  type HeadDeclaration,
  type HeadKind,
} from "../../gateway/index.ts";
import type { ConfigPath, Problems } from "./problem.ts";
import { isObject, list, object, record, text, type Shape } from "./shape.ts";

/** RFC 9110 section 5.1; what a cookie may be called, too. */
export const fieldName = /^[\w!#$%&'*+.^`|~-]+$/;
const fieldText = text("a text of one line", /^[\t\x20-\x7e\x80-\xff]*$/);

const shapeOfChanges = object<HeadChanges>(
  {},
  {
    set: record(fieldName, "letters, digits and hyphens", fieldText),
    remove: list(text("the name of a field", fieldName), "a list of names of fields"),
  },
);

/** What a route declares of the heads of its requests, or of its answers. */
export function headShape(kind: HeadKind): Shape {
  return object<HeadDeclaration>(
    {},
    {
      headers: (value, path, problems) => {
        shapeOfChanges(value, path, problems);
        if (isObject(value)) refuseFields(kind, value, path, problems);
      },
    },
  );
}

function refuseFields(
  kind: HeadKind,
  { set, remove }: Readonly<Record<string, unknown>>,
  path: ConfigPath,
  problems: Problems,
): void {
  const named = [
    ...(isObject(set)
      ? Object.keys(set).map((name) => [name, [...path, "set", name]] as const)
      : []),
    ...(Array.isArray(remove)
      ? remove.map((name: unknown, place) => [name, [...path, "remove", place]] as const)
      : []),
  ];
  const seen = new Set<string>();
  for (const [name, at] of named) {
    if (typeof name !== "string") continue;
    const reason = reservedField(kind, name);
    if (reason !== undefined) problems.add(at, reason, "Take it away.");
    else if (seen.has(name.toLowerCase())) {
      problems.add(
        at,
        "is named twice",
        "Take one of them away; the case of a name means nothing.",
      );
    }
    seen.add(name.toLowerCase());
  }
}
