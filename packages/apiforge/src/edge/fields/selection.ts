import { setField } from "./set-field.ts";

/** Fields by name: all of a field, or some of its own fields. */
export interface Selection {
  readonly fields: ReadonlyMap<string, Selection | "whole">;
}

/** The fields that `paths` lead to, and nothing else. */
export function selectionOf(paths: readonly (readonly string[])[]): Selection {
  const below = new Map<string, (readonly string[])[]>();
  for (const [name = "", ...rest] of paths) {
    const rests = below.get(name);
    if (rests === undefined) below.set(name, [rest]);
    else rests.push(rest);
  }
  const fields = new Map<string, Selection | "whole">();
  for (const [name, rests] of below) {
    const isWhole = rests.some((rest) => rest.length === 0);
    fields.set(name, isWhole ? "whole" : selectionOf(rests));
  }
  return { fields };
}

/**
 * What of `value` is selected, in the order in which it stands there: so one set of fields makes one
 * text. Lists are made of what is selected of each item; what has no fields (null, a text) stays.
 */
export function select(selection: Selection, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => select(selection, item));
  const selected: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    const inside = selection.fields.get(name);
    if (inside === undefined) continue;
    setField(selected, name, inside === "whole" ? field : select(inside, field));
  }
  return selected;
}
