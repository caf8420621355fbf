import type { SqlFragment, SqlValue } from "../contract.ts";
import type { Parameter } from "./exchange.ts";

/** What an array may hold. */
export type ArrayElement = string | number | bigint | null | Uint8Array;

/** A value of our own statements: arrays travel as one parameter, so that one text fits any number of rows. */
export type CommandValue = SqlValue | readonly ArrayElement[];

/** SQL with `$1`, `$2`, … and their values. */
export interface Command {
  readonly text: string;
  readonly values: readonly CommandValue[];
}

/** `text` with `values`. */
export function command(text: string, ...values: readonly CommandValue[]): Command {
  return { text, values };
}

/** A user's fragment with placeholders as PostgreSQL writes them. */
export function fragmentCommand({ texts, values }: SqlFragment): Command {
  let text = texts[0] ?? "";
  for (let index = 1; index < texts.length; index++) text += `$${index}${texts[index]}`;
  return { text, values };
}

/**
 * `value` as it travels.
 * @throws {TypeError} when it is none that can be bound.
 */
export function toParameter(value: CommandValue): Parameter {
  if (value === null || typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") {
    return String(value);
  }
  if (Buffer.isBuffer(value)) return value;
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  if (Array.isArray(value)) return arrayLiteral(value);
  throw new TypeError(
    "A value of this type cannot be bound: pass text, a number, a boolean, bytes or null",
  );
}

// postgresql.org/docs/current/arrays.html#ARRAYS-IO
function arrayLiteral(items: readonly ArrayElement[]): string {
  return `{${items.map(arrayElement).join()}}`;
}

function arrayElement(item: ArrayElement): string {
  if (item === null) return "NULL";
  if (typeof item === "number" || typeof item === "bigint") return String(item);
  if (typeof item === "string") return `"${item.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  return String.raw`"\\x${Buffer.from(item.buffer, item.byteOffset, item.byteLength).toString("hex")}"`;
}
