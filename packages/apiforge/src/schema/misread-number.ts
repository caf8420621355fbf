// RFC 8259 section 6, and leading zeros: what people and URLs mean by a number.
const decimal = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * The path of the first number in `read` that text of `given` was read as without being one: to
 * JavaScript, and so to Ajv, a blank is 0, `0x10` is 16 and `1e999` is Infinity.
 */
export function findMisreadNumber(given: unknown, read: unknown): string[] | undefined {
  if (typeof read === "number") {
    const isMisread = typeof given === "string" && !(decimal.test(given) && Number.isFinite(read));
    return isMisread ? [] : undefined;
  }
  if (typeof read !== "object" || read === null) return undefined;
  for (const [key, value] of Object.entries(read)) {
    const path = findMisreadNumber(part(given, key), value);
    if (path !== undefined) return [key, ...path];
  }
  return undefined;
}

function part(given: unknown, key: string): unknown {
  // A single value where a list is wanted becomes a list of one.
  if (typeof given !== "object" || given === null) return given;
  return Reflect.get(given, key);
}
