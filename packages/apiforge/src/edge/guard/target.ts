/** Longest request target in characters; longer ones are answered with `uri_too_long`. */
export const maxTargetChars = 8_192;

/** A request target as all of the server sees it. */
export interface Target {
  /** Path and query in the normal form; `*` of `OPTIONS *`. */
  readonly url: string;
  /** Of a target in absolute form, else undefined. */
  readonly authority: string | undefined;
}

// What most targets look like, so that they cost one test: no dot, escape or parameter in the path.
const plainTarget = /^\/[\w~!$&'()*+,=:@/-]*(?:\?[^#]*)?$/;
const absoluteForm = /^https?:\/\/([^/?#]*)(.*)$/is;
const escapes = /%([0-9a-f]{2})/gi;
const unreserved = /[\w.~-]/;
// RFC 3986 section 3.3, and what browsers send as it is.
const pathChars = /^[\w.~!$&'()*+,;=:@/%^|"<>`{}[\]-]*$/;
// Ways to write a separator, a control character, or an escape that only a second decoding shows.
const ambiguousEscape = /%(?:2f|5c|[01][0-9a-f]|7f|25[0-9a-f]{2})/i;
// A parameter of dots is one to who takes parameters for segments.
const ambiguousSegment = /\/\/|[/;]\.{1,2}(?:[/;]|$)/;

/**
 * The one form of a request target (RFC 9112 section 3.2) that router, stages and handlers see:
 * escapes of unreserved characters are decoded and the others written in upper case (RFC 3986
 * section 6.2.2). Undefined for a target that two readers could understand differently: a fragment,
 * `.` and `..` segments, empty segments, an escaped separator or control character, an escape in an
 * escape, bytes that are no UTF-8, a backslash or anything else that no path contains; and for one
 * longer than {@link maxTargetChars}.
 */
export function normalTarget(target: string): Target | undefined {
  if (target.length > maxTargetChars) return undefined;
  if (isPlain(target) || target === "*") return { url: target, authority: undefined };
  if (target.includes("#")) return undefined;
  const [, authority, rest = target] = absoluteForm.exec(target) ?? [];
  // RFC 9112 section 3.2.2: an absolute target may have no path.
  const url = normalUrl(authority !== undefined && !rest.startsWith("/") ? `/${rest}` : rest);
  return url === undefined ? undefined : { url, authority };
}

/** True for most targets; they are in their normal form. */
export function isPlain(target: string): boolean {
  return plainTarget.test(target) && !target.includes("//");
}

function normalUrl(url: string): string | undefined {
  const queryAt = url.indexOf("?");
  if (queryAt < 0) return normalPath(url);
  const path = normalPath(url.slice(0, queryAt));
  return path === undefined ? undefined : path + url.slice(queryAt);
}

function normalPath(path: string): string | undefined {
  if (!path.startsWith("/") || !pathChars.test(path) || ambiguousEscape.test(path))
    return undefined;
  const normal = path.includes("%") ? normalEscapes(path) : path;
  return normal === undefined || ambiguousSegment.test(normal) ? undefined : normal;
}

function normalEscapes(path: string): string | undefined {
  try {
    // Throws for a broken escape and for bytes that are no UTF-8, overlong forms included.
    decodeURIComponent(path);
  } catch {
    return undefined;
  }
  return path.replaceAll(escapes, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return unreserved.test(character) ? character : escape.toUpperCase();
  });
}
