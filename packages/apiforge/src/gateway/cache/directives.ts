/** Directives of a `Cache-Control` by name in lower case; "" for one without a value. The first of a name counts. */
export type Directives = ReadonlyMap<string, string>;

/** Longer lifetimes mean as much (RFC 9111 section 1.2.2). */
const maxDeltaSeconds = 2_147_483_648;
const none: Directives = new Map();

const member = /\s*([^\s=,"]+)(?:=("(?:[^"\\]|\\.)*"|[^\s,"]*))?\s*(?:,|$)/y;
const rest = /(?:"(?:[^"\\]|\\.)*"|[^,"]|")*(?:,|$)/y;

/**
 * Reads a `Cache-Control` (RFC 9111 section 5.2). A member that cannot be read is left out; what stands in
 * the quotes of another one is no directive.
 */
export function parseDirectives(value: string | undefined): Directives {
  if (value === undefined || value === "") return none;
  const directives = new Map<string, string>();
  let index = 0;
  while (index < value.length) {
    member.lastIndex = index;
    const match = member.exec(value);
    if (match === null) {
      rest.lastIndex = index;
      rest.exec(value);
      // An empty member, or one that is none.
      index = Math.max(rest.lastIndex, index + 1);
      continue;
    }
    const name = (match[1] ?? "").toLowerCase();
    if (!directives.has(name)) directives.set(name, unquoted(match[2] ?? ""));
    index = member.lastIndex;
  }
  return directives;
}

/**
 * Seconds that a directive names. Undefined where it is absent; 0 for what is no number, so that what
 * cannot be read is stale (RFC 9111 section 4.2.1).
 */
export function seconds(directives: Directives, name: string): number | undefined {
  const value = directives.get(name);
  if (value === undefined) return undefined;
  return /^\d+$/.test(value) ? Math.min(Number(value), maxDeltaSeconds) : 0;
}

/** Names of fields that `no-cache="a, b"` or `private="a"` lists, in lower case. */
export function listedFields(directives: Directives, name: string): readonly string[] {
  const value = directives.get(name) ?? "";
  return value
    .split(",")
    .map((field) => field.trim().toLowerCase())
    .filter((field) => field !== "");
}

/** True for `name` without a list of fields. */
export function isUnqualified(directives: Directives, name: string): boolean {
  return directives.get(name) === "";
}

function unquoted(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value;
}

const targetedMember =
  /[ \t]*([a-z*][a-z0-9_.*-]*)(?:=(-?\d{1,15}|"[ -~]*?"|[A-Za-z*][^\s,;]*|\?[01]))?(?:;[^,]*)?[ \t]*(?:,(?=.)|$)/y;
const numbers: ReadonlySet<string> = new Set([
  "max-age",
  "s-maxage",
  "stale-if-error",
  "stale-while-revalidate",
]);

/**
 * Reads a targeted field (RFC 9213 section 2.2), a Dictionary of Structured Fields. Undefined for one that is none, or
 * in which a known directive has a value of another type: then `Cache-Control` counts.
 */
export function parseTargeted(value: string | undefined): Directives | undefined {
  if (value === undefined || value.trim() === "") return undefined;
  const directives = new Map<string, string>();
  let index = 0;
  while (index < value.length) {
    targetedMember.lastIndex = index;
    const match = targetedMember.exec(value);
    if (match === null) return undefined;
    const [, name = "", given = ""] = match;
    if (numbers.has(name) && !/^\d+$/.test(given)) return undefined;
    if (given !== "?0") directives.set(name, given === "?1" ? "" : unquoted(given));
    else directives.delete(name);
    index = targetedMember.lastIndex;
  }
  return directives;
}
