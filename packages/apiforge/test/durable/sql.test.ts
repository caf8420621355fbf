import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sql, type SqlInput, type SqlPiece } from "../../src/durable/index.ts";

/** Calls the tag as a template with these texts and inputs would. */
function tagged(texts: readonly string[], inputs: readonly SqlInput[]): SqlPiece {
  return sql(Object.assign([...texts], { raw: texts }), ...inputs);
}

/** A template with what is nested in it. */
interface Template {
  readonly texts: readonly string[];
  readonly inputs: readonly (Template | { readonly value: SqlInput })[];
}

const values = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.bigInt(),
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
  fc.uint8Array({ maxLength: 4 }),
  fc.date({ noInvalidDate: true }),
);

const { template } = fc.letrec<{ template: Template; input: Template["inputs"][number] }>(
  (tie) => ({
    template: fc
      .array(fc.tuple(tie("input"), fc.string({ maxLength: 5 })), { maxLength: 4 })
      .chain((parts) =>
        fc.string({ maxLength: 5 }).map((first) => ({
          texts: [first, ...parts.map(([, text]) => text)],
          inputs: parts.map(([input]) => input),
        })),
      ),
    input: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      values.map((value) => ({ value })),
      tie("template"),
    ),
  }),
);

function build({ texts, inputs }: Template): SqlPiece {
  return tagged(
    texts,
    inputs.map((input) => ("value" in input ? input.value : build(input))),
  );
}

/** The text with a mark for each value, and the values, read off the template. */
function reading({ texts, inputs }: Template): { text: string; values: unknown[] } {
  let text = texts[0] ?? "";
  const values: unknown[] = [];
  inputs.forEach((input, index) => {
    if ("value" in input) {
      text += "\u0001";
      values.push(bound(input.value));
    } else {
      const nested = reading(input);
      text += nested.text;
      values.push(...nested.values);
    }
    text += texts[index + 1] ?? "";
  });
  return { text, values };
}

function bound(value: SqlInput): unknown {
  if (value === undefined) return null;
  return value instanceof Date ? value.getTime() : value;
}

describe("sql", () => {
  test("keeps texts and values apart, however pieces are nested", () => {
    fc.assert(
      fc.property(template, (given) => {
        const piece = build(given);
        const expected = reading(given);
        expect(piece.texts).toHaveLength(piece.values.length + 1);
        expect(piece.texts.join("\u0001")).toBe(expected.text);
        expect(piece.values).toEqual(expected.values);
      }),
    );
  });

  test("binds a date as epoch milliseconds and undefined as null", () => {
    const piece = sql`a = ${new Date(5)} and b = ${undefined}`;
    expect(piece).toMatchObject({ texts: ["a = ", " and b = ", ""], values: [5, null] });
  });

  test("takes a piece for text and its like for a value", () => {
    const like = { texts: ["drop table note"], values: [] };
    const piece = sql`select ${like}`;
    expect(piece.texts).toEqual(["select ", ""]);
  });

  test("leaves a piece that was nested as it was", () => {
    const mine = sql`tenant = ${"t"}`;
    const where = sql`where ${mine} and ${mine}`;
    expect(where).toMatchObject({
      texts: ["where tenant = ", " and tenant = ", ""],
      values: ["t", "t"],
    });
    expect(mine).toMatchObject({ texts: ["tenant = ", ""], values: ["t"] });
  });
});
