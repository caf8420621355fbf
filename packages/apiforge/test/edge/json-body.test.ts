import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { maxJsonDepth, parseJsonBody } from "../../src/edge/body/json-body.ts";

function parse(text: string): unknown {
  return parseJsonBody(Buffer.from(text));
}

/** Spells a text as JSON in one of its many ways: any unit may be escaped. */
function spelling(text: string, isEscaped: readonly boolean[]): string {
  const units = Array.from({ length: text.length }, (_, index) =>
    isEscaped[index % Math.max(1, isEscaped.length)] === true
      ? `\\u${text.charCodeAt(index).toString(16).padStart(4, "0")}`
      : JSON.stringify(text.charAt(index)).slice(1, -1),
  );
  return `"${units.join("")}"`;
}

// Without lone surrogates, which UTF-8 cannot carry, and without names that are refused.
const name = fc
  .string({ unit: "grapheme", maxLength: 6 })
  .filter((text) => text !== "__proto__" && text !== "constructor");
const escapes = fc.array(fc.boolean(), { maxLength: 4 });
const value = fc
  .jsonValue({ maxDepth: 5 })
  .filter((json) => !/"(?:__proto__|constructor)"/.test(JSON.stringify(json)));

test("whatever JSON writes is read back the same", () => {
  fc.assert(
    fc.property(value, fc.constantFrom(undefined, 1, "\t\r\n "), (json, indent) => {
      const text = JSON.stringify(json, undefined, indent);
      expect(parse(text)).toEqual(JSON.parse(text));
    }),
  );
});

test("a key that stands twice is found at any place, in any spelling", () => {
  fc.assert(
    fc.property(
      fc.array(name, { minLength: 1, maxLength: 4 }),
      escapes,
      escapes,
      fc.uniqueArray(name, { maxLength: 4 }),
      value,
      (path, one, two, others, json) => {
        const last = path.at(-1) ?? "";
        const between = others
          .filter((other) => other !== last)
          .map((other) => `${spelling(other, one)}:${JSON.stringify(json)},`);
        let text = `{${spelling(last, one)}:1,${between.join("")}${spelling(last, two)}:2}`;
        for (const step of path.slice(0, -1).reverse())
          text = `{"list":[{},{${spelling(step, two)}: ${text} }]}`;
        const steps = path.slice(0, -1).map((step) => `list.1.${step}.`);
        expect(() => parse(text)).toThrow(
          expect.objectContaining({
            code: "duplicate_json_key",
            param: `body.${steps.join("")}${last}`,
          }),
        );
      },
    ),
  );
});

test("any bytes are read as JSON.parse reads them, or refused with a code", () => {
  const codes = new Set([
    "invalid_json",
    "json_too_deep",
    "duplicate_json_key",
    "forbidden_json_key",
  ]);
  const piece = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    '"',
    "\\",
    '"a"',
    '"b"',
    "1",
    "null",
    " ",
    "\\u0061",
    "é",
    '"__proto__"',
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join("")),
  );
  fc.assert(
    fc.property(text, (given) => {
      let parsed: unknown;
      try {
        parsed = parse(given);
      } catch (error) {
        expect(codes).toContain(Reflect.get(error as object, "code"));
        return;
      }
      expect(parsed).toEqual(given === "" ? undefined : JSON.parse(given));
    }),
    { numRuns: 2_000 },
  );
});

describe("limits", () => {
  test("nesting up to the limit is taken", () => {
    const depth = maxJsonDepth;
    expect(parse(`${"[".repeat(depth)}${"]".repeat(depth)}`)).toBeDefined();
    expect(() => parse(`${'{"a":'.repeat(depth + 1)}1${"}".repeat(depth + 1)}`)).toThrow(
      expect.objectContaining({ code: "json_too_deep" }),
    );
  });

  test("brackets in texts are no nesting", () => {
    expect(parse(JSON.stringify(["[".repeat(500), '{"'.repeat(500)]))).toBeDefined();
  });

  test("a megabyte of opening brackets is refused", () => {
    expect(() => parse("[".repeat(1_000_000))).toThrow(
      expect.objectContaining({ code: "json_too_deep" }),
    );
  });

  test("a key twice after a megabyte of text is found", () => {
    const text = `{"a":"${'\\"x'.repeat(300_000)}","a":1}`;
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ code: "duplicate_json_key", param: "body.a" }),
    );
  });
});

test("a prototype cannot be set", () => {
  expect(() => parse('[{"a":{"__proto__":null}}]')).toThrow(
    expect.objectContaining({ code: "forbidden_json_key", param: "body.0.a.__proto__" }),
  );
  expect(() => parse('{"constructor":{"prototype":1}}')).toThrow(
    expect.objectContaining({ code: "forbidden_json_key", param: "body.constructor" }),
  );
  expect(parse('{"constructor":"builder","prototype":1}')).toEqual({
    constructor: "builder",
    prototype: 1,
  });
});
