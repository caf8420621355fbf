import { nearest } from "./nearest.ts";
import type { ConfigPath, Problems } from "./problem.ts";

/** Checks a value and everything below it, and goes on after what is wrong. */
export type Shape = (value: unknown, path: ConfigPath, problems: Problems) => void;

type OptionalKeys<T> = {
  [K in keyof T]-?: Partial<Pick<T, K>> extends Pick<T, K> ? K : never;
}[keyof T];
type Shapes<Names extends PropertyKey> = { readonly [Name in Names]: Shape };

/** An object of exactly these fields: all of a type's, so that none is forgotten here. */
export function object<T>(
  required: Shapes<Exclude<keyof T, OptionalKeys<T>>>,
  optional: Shapes<OptionalKeys<T>>,
): Shape {
  const needed = Object.entries<Shape>(required);
  const shapes = new Map([...needed, ...Object.entries<Shape>(optional)]);
  return (value, path, problems) => {
    if (!isObject(value)) return refuse(value, path, problems, "an object");
    for (const [name, shape] of needed) {
      if (value[name] === undefined) shape(undefined, [...path, name], problems);
    }
    for (const [name, inner] of Object.entries(value)) {
      const shape = shapes.get(name);
      if (shape === undefined) refuseName(name, [...shapes.keys()], path, problems);
      else if (inner !== undefined) shape(inner, [...path, name], problems);
    }
  };
}

/** An object of any names that `pattern` takes. */
export function record(pattern: RegExp, expectedName: string, of: Shape): Shape {
  return (value, path, problems) => {
    if (!isObject(value)) return refuse(value, path, problems, "an object");
    for (const [name, inner] of Object.entries(value)) {
      const at = [...path, name];
      if (!pattern.test(name)) {
        problems.add(at, "is no name that can be used", `Name it with ${expectedName}.`);
      }
      of(inner, at, problems);
    }
  };
}

export function list(of: Shape, expected: string, least = 0): Shape {
  return (value, path, problems) => {
    if (!Array.isArray(value) || value.length < least) {
      return refuse(value, path, problems, expected);
    }
    for (const [place, item] of value.entries()) of(item, [...path, place], problems);
  };
}

/** The shape that `choose` says for a value. */
export function choice(choose: (value: unknown) => Shape): Shape {
  return (value, path, problems) => choose(value)(value, path, problems);
}

/** A value that `test` takes; `expected` ends the sentence "Write …". */
export function leaf(expected: string, test: (value: unknown) => boolean): Shape {
  return (value, path, problems) => {
    if (!test(value)) refuse(value, path, problems, expected);
  };
}

export function count(min: number, max: number, unit = ""): Shape {
  const shown = (number: number): string => number.toLocaleString("en-US");
  return leaf(
    `a whole number from ${shown(min)} to ${shown(max)}${unit}`,
    (value) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
  );
}

export function text(expected: string, pattern = /./s): Shape {
  return leaf(expected, (value) => typeof value === "string" && pattern.test(value));
}

export const yesOrNo: Shape = leaf("true or false", (value) => typeof value === "boolean");

/** One of some words. */
export function oneOf(words: readonly string[]): Shape {
  return (value, path, problems) => {
    if (typeof value === "string" && words.includes(value)) return;
    const meant = typeof value === "string" ? nearest(value, words) : undefined;
    const expected = `one of ${words.join(", ")}`;
    if (meant === undefined) return refuse(value, path, problems, expected);
    problems.add(path, `is not ${expected}`, `Write ${meant}.`);
  };
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refuse(value: unknown, path: ConfigPath, problems: Problems, expected: string): void {
  const problem =
    value === undefined ? "is missing" : `is ${kindOf(value)} that cannot be used here`;
  problems.add(path, problem, `Write ${expected}.`);
}

function refuseName(
  name: string,
  known: readonly string[],
  path: ConfigPath,
  problems: Problems,
): void {
  const meant = nearest(name, known);
  const remedy =
    meant === undefined ? `Take it away; known here: ${known.join(", ")}.` : `Write ${meant}.`;
  problems.add([...path, name], "is not known here", remedy);
}

const kinds: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  function: "a function",
};

function kindOf(value: unknown): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (value === "") return "an empty text";
  return kinds[typeof value] ?? "an object";
}
