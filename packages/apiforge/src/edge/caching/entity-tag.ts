import { hash } from "node:crypto";

/** The strong entity tag of a body (RFC 9110 section 8.8.3), a hash of its bytes, with its quotes. */
export function entityTag(body: string): string {
  return `"${hash("sha256", body, "base64url")}"`;
}

/**
 * Whether `list`, the value of `If-None-Match`, is `*` or has `tag`, by weak comparison (RFC 9110
 * section 13.1.2). What is no entity tag in it matches nothing.
 */
export function hasTag(list: string, tag: string): boolean {
  return matches(list, (member) => member === tag || member === `W/${tag}`);
}

/** As {@link hasTag} for `If-Match`, by strong comparison (section 13.1.1): a weak tag is another one. */
export function hasStrongTag(list: string, tag: string): boolean {
  return matches(list, (member) => member === tag);
}

// A tag may have commas in it, so the list is not split at them; but what is between two is a tag alone.
const tagPattern = /(?<=^|,)[ \t]*((?:W\/)?"[^"]*")[ \t]*(?=,|$)/g;

function matches(list: string, isIt: (member: string) => boolean): boolean {
  if (list.trim() === "*") return true;
  return [...list.matchAll(tagPattern)].some(([, member = ""]) => isIt(member));
}
