import { members } from "./fields.ts";

/** The fields that chose an answer among others of its URL, each with its value; undefined for one that was absent. */
export type Selection = readonly (readonly [name: string, value: string | undefined])[];

/** Lists of preferences, in which order and case mean nothing; weights stand on each member. */
const unordered: ReadonlySet<string> = new Set([
  "accept-charset",
  "accept-encoding",
  "accept-language",
]);

/**
 * What of a request an answer with this `Vary` depended on (RFC 9111 section 4.1).
 * @param raw the request's fields as they came: of some, Node's own table keeps one of several.
 */
export function selectionOf(vary: string | undefined, raw: readonly string[]): Selection {
  const names = [...new Set(members(vary))].toSorted();
  return names.map((name) => [name, selectingValue(name, raw)]);
}

/** True when a request with these fields would have been answered the same. */
export function isSelected(selection: Selection, raw: readonly string[]): boolean {
  return selection.every(([name, value]) => selectingValue(name, raw) === value);
}

/** True for the same fields with the same values. */
export function isSameSelection(one: Selection, other: Selection): boolean {
  if (one.length !== other.length) return false;
  return one.every(([name, value], index) => {
    const [otherName, otherValue] = other[index] ?? [];
    return name === otherName && value === otherValue;
  });
}

function selectingValue(name: string, raw: readonly string[]): string | undefined {
  let value: string | undefined;
  for (let index = 0; index < raw.length; index += 2) {
    if (raw[index]?.toLowerCase() !== name) continue;
    const next = raw[index + 1] ?? "";
    value = value === undefined ? next : `${value},${next}`;
  }
  return value === undefined ? undefined : normalised(name, value);
}

/** Without space around commas, which separates members as well as none (RFC 9110 section 5.6.1). */
function normalised(name: string, value: string): string {
  if (!unordered.has(name))
    return value
      .split(",")
      .map((member) => member.trim())
      .join(",");
  return members(value)
    .map((member) => member.replace(/\s/g, ""))
    .toSorted()
    .join(",");
}
