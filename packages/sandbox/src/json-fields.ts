import { ControlError } from "./control.ts";

/** True for a JSON object: neither null nor an array. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A JSON array, or an empty one in place of anything else. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/**
 * The fields of a control request's body.
 * @throws {ControlError} when it is no object or has a field that is not among `known`.
 */
export function readFields(
  body: unknown,
  known: readonly string[],
): Readonly<Record<string, unknown>> {
  if (!isRecord(body)) throw new ControlError("The body must be a JSON object");
  const unknown = Object.keys(body).find((field) => !known.includes(field));
  if (unknown === undefined) return body;
  throw new ControlError(`Unknown field ${unknown}; known are ${known.join(", ")}`);
}

/**
 * A whole number of a control request, or `fallback` when the field is absent.
 * @throws {ControlError} when it is anything else or out of range.
 */
export function readInteger<Fallback>(
  fields: Readonly<Record<string, unknown>>,
  field: string,
  { min, max, fallback }: { min: number; max: number; fallback: Fallback },
): number | Fallback {
  const value = fields[field];
  if (value === undefined) return fallback;
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) {
    return value;
  }
  throw new ControlError(`${field} must be a whole number from ${min} to ${max}`);
}

/**
 * True or false of a control request, or `fallback` when the field is absent.
 * @throws {ControlError} when it is anything else.
 */
export function readBoolean(
  fields: Readonly<Record<string, unknown>>,
  field: string,
  fallback: boolean,
): boolean {
  const value = fields[field];
  if (value === undefined) return fallback;
  if (typeof value === "boolean") return value;
  throw new ControlError(`${field} must be true or false`);
}
