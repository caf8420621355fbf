import fc from "fast-check";
import { Type, type TSchema } from "typebox";
import { Value } from "typebox/value";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { compileSchema } from "../../src/schema/index.ts";

/** A schema in both libraries, with values that may satisfy it. */
interface Pair {
  readonly zod: z.ZodType;
  readonly typeBox: TSchema;
  readonly likely: fc.Arbitrary<unknown>;
}

const bounds = fc.record({ low: fc.nat(3), more: fc.nat(3) });
const fieldNames = fc.constantFrom("a", "b", "c d", "é", "a/b", "a~b", "constructor");
const words = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.string({
    unit: fc.constantFrom("a", "é", "e\u0301", "\u{1f600}", "\u{1f468}\u200d\u{1f467}"),
    maxLength: 8,
  }),
);

const strings = bounds.map(({ low, more }): Pair => ({
  zod: z
    .string()
    .min(low)
    .max(low + more),
  typeBox: Type.String({ minLength: low, maxLength: low + more }),
  likely: words,
}));
const numbers = bounds.map(({ low, more }): Pair => ({
  zod: z
    .number()
    .min(low)
    .max(low + more),
  typeBox: Type.Number({ minimum: low, maximum: low + more }),
  likely: fc.oneof(fc.integer({ min: -1, max: 8 }), fc.double({ min: -1, max: 8, noNaN: true })),
}));
const scalars = fc.constantFrom<Pair>(
  { zod: z.boolean(), typeBox: Type.Boolean(), likely: fc.boolean() },
  { zod: z.null(), typeBox: Type.Null(), likely: fc.constant(null) },
  {
    zod: z.int(),
    typeBox: Type.Integer(),
    likely: fc.oneof(fc.integer(), fc.double(), fc.constantFrom(-0, 1.0, 1e21, 0.1)),
  },
  {
    zod: z.enum(["on", "off"]),
    typeBox: Type.Union([Type.Literal("on"), Type.Literal("off")]),
    likely: fc.constantFrom("on", "off", "ON", "of"),
  },
  { zod: z.literal(5), typeBox: Type.Literal(5), likely: fc.constantFrom(5, 5.0, "5", 6) },
);

const { pair } = fc.letrec<{ pair: Pair }>((tie) => ({
  pair: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    strings,
    numbers,
    scalars,
    fc.tuple(tie("pair"), bounds).map(arrayOf),
    fc.tuple(tie("pair"), tie("pair")).map(eitherOf),
    fc
      .uniqueArray(fc.tuple(fieldNames, tie("pair"), fc.boolean()), {
        selector: ([name]) => name,
        maxLength: 4,
      })
      .chain((fields) => fc.boolean().map((isStrict) => objectOf(fields, isStrict))),
  ),
}));

function arrayOf([item, { low, more }]: [Pair, { low: number; more: number }]): Pair {
  return {
    zod: z
      .array(item.zod)
      .min(low)
      .max(low + more),
    typeBox: Type.Array(item.typeBox, { minItems: low, maxItems: low + more }),
    likely: fc.array(item.likely, { maxLength: 6 }),
  };
}

function eitherOf([one, other]: [Pair, Pair]): Pair {
  return {
    zod: z.union([one.zod, other.zod]),
    typeBox: Type.Union([one.typeBox, other.typeBox]),
    likely: fc.oneof(one.likely, other.likely),
  };
}

function objectOf(fields: readonly [string, Pair, boolean][], isStrict: boolean): Pair {
  const zod = z.object(
    Object.fromEntries(
      fields.map(([name, { zod }, isOptional]) => [name, isOptional ? zod.optional() : zod]),
    ),
  );
  const typeBox = Type.Object(
    Object.fromEntries(
      fields.map(([name, { typeBox }, isOptional]) => [
        name,
        isOptional ? Type.Optional(typeBox) : typeBox,
      ]),
    ),
    isStrict ? { additionalProperties: false } : {},
  );
  const likely = fc.record(
    { ...Object.fromEntries(fields.map(([name, { likely }]) => [name, likely])), extra: fc.nat() },
    { requiredKeys: [] },
  );
  return { zod: isStrict ? zod.strict() : zod.loose(), typeBox, likely };
}

/** Schemas together with a value that JSON could have brought. */
const cases = pair.chain(({ zod, typeBox, likely }) =>
  fc.record({
    zod: fc.constant(zod),
    typeBox: fc.constant(typeBox),
    value: fc.oneof(likely.map(throughJson), fc.jsonValue().map(throughJson)),
  }),
);

function throughJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value) ?? "null");
}

describe("a compiled schema", () => {
  test("of Zod says what Zod says, with the value that Zod makes", () => {
    fc.assert(
      fc.property(cases, ({ zod, value }) => {
        const own = zod.safeParse(value);
        const compiled = compileSchema(zod).validate(value);
        expect(compiled.ok).toBe(own.success);
        if (compiled.ok) expect(compiled.value).toEqual(own.data);
        else expect(compiled.issues.length).toBeGreaterThanOrEqual(own.error?.issues.length ?? 1);
      }),
      { numRuns: 300 },
    );
  });

  test("of TypeBox says what TypeBox says", () => {
    fc.assert(
      fc.property(cases, ({ typeBox, value }) => {
        const compiled = compileSchema(typeBox).validate(value);
        expect(compiled.ok).toBe(Value.Check(typeBox, value));
        if (compiled.ok) expect(compiled.value).toEqual(value);
        else expect(compiled.issues.length).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });

  test.for([
    ["date-time", "2030-01-02T03:04:05Z"],
    ["date", "2030-01-02"],
    ["time", "03:04:05Z"],
    ["email", "priya@apiforge.dev"],
    ["uuid", "01890a5d-ac96-774b-bcce-b302099a8057"],
    ["uri", "https://apiforge.dev/a?b=c"],
    ["ipv4", "127.0.0.1"],
    ["ipv6", "::1"],
    ["hostname", "apiforge.dev"],
  ] as const)("of TypeBox checks the format %s", ([format, valid]) => {
    const schema = Type.String({ format });
    const { validate } = compileSchema(schema);
    for (const value of [valid, "", "not it", `${valid} `, valid.slice(1), `x${valid}`]) {
      expect(validate(value).ok, value).toBe(Value.Check(schema, value));
    }
    expect(validate(valid).ok).toBe(true);
    expect(validate("not it").ok).toBe(false);
  });

  test("of TypeBox fills in defaults, before it checks", () => {
    const schema = Type.Object({
      limit: Type.Integer({ default: 20 }),
      page: Type.Object({ size: Type.Integer({ default: 5 }) }, { default: {} }),
    });
    expect(compileSchema(schema).validate({})).toEqual({
      ok: true,
      value: { limit: 20, page: { size: 5 } },
    });
  });

  test("of TypeBox fills in defaults of items and of what several schemas say, never of a choice", () => {
    const sized = Type.Object({ size: Type.Integer({ default: 5 }) });
    const schema = Type.Object({
      items: Type.Array(sized),
      pair: Type.Tuple([sized, Type.String()]),
      both: Type.Intersect([sized, Type.Object({ name: Type.String({ default: "n" }) })]),
      either: Type.Union([Type.Object({ constructor: Type.String() }), Type.Partial(sized)]),
    });
    const value = {
      items: [{}, { size: 1 }],
      pair: [{}, "x"],
      both: {},
      either: { constructor: "" },
    };
    expect(compileSchema(schema).validate(value)).toEqual({
      ok: true,
      value: {
        items: [{ size: 5 }, { size: 1 }],
        pair: [{ size: 5 }, "x"],
        both: { size: 5, name: "n" },
        either: { constructor: "" },
      },
    });
  });

  test("never touches the value that it is given", () => {
    const schema = Type.Object({ a: Type.Integer({ default: 1 }), b: Type.Array(Type.Integer()) });
    const value = { b: ["1", 2] };
    const before = structuredClone(value);
    compileSchema(schema, "text").validate(value);
    compileSchema(schema).validate(value);
    expect(value).toEqual(before);
  });

  test("refuses whatever else it is given, and never throws", () => {
    const schemas = [
      compileSchema(z.strictObject({ a: z.string() })),
      compileSchema(Type.Object({ a: Type.String() }, { additionalProperties: false })),
    ];
    // Text from a URL is text: what it makes of anything else is nobody's business, unless it throws.
    const text = compileSchema(Type.Object({ a: Type.String() }), "text");
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything({
            withBigInt: true,
            withDate: true,
            withMap: true,
            withSet: true,
            withSparseArray: true,
          }),
          fc.func(fc.anything()),
          fc.constantFrom(Symbol("s"), { a: Symbol("s") }, { a: () => {} }, new Proxy({}, {})),
        ),
        (value) => {
          for (const { validate } of schemas) expect(validate(value).ok).toBe(isFit(value));
          text.validate(value);
        },
      ),
    );
  });

  test("leaves no trace of __proto__", () => {
    const hostile: unknown = JSON.parse('{"a":"x","__proto__":{"admin":true}}');
    const strict = Type.Object({ a: Type.String() }, { additionalProperties: false });
    expect(compileSchema(strict).validate(hostile).ok).toBe(false);
    expect(compileSchema(z.strictObject({ a: z.string() })).validate(hostile).ok).toBe(false);
    for (const compiled of [
      compileSchema(Type.Object({ a: Type.String() })),
      compileSchema(z.object({ a: z.string() })),
    ]) {
      const result = compiled.validate(hostile);
      if (result.ok) expect(Reflect.get(Object(result.value), "admin")).toBeUndefined();
    }
  });
});

function isFit(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).join() === "a" &&
    typeof Reflect.get(value, "a") === "string"
  );
}

describe("a refusal", () => {
  const zod = z.strictObject({
    name: z.string(),
    items: z.array(z.strictObject({ price: z.number() })),
  });
  const typeBox = Type.Object(
    {
      name: Type.String(),
      items: Type.Array(Type.Object({ price: Type.Number() }, { additionalProperties: false })),
    },
    { additionalProperties: false },
  );

  test.for([
    ["a missing field", { items: [] }, "name"],
    [
      "a wrong type deep down",
      { name: "a", items: [{ price: 1 }, { price: "2" }] },
      "items.1.price",
    ],
    ["a missing field deep down", { name: "a", items: [{}] }, "items.0.price"],
    ["an unknown field", { name: "a", items: [], other: 1 }, "other"],
    ["an unknown field deep down", { name: "a", items: [{ price: 1, x: 1 }] }, "items.0.x"],
    ["the value itself", 5, ""],
  ] as const)("names %s by its path, whichever the library", ([, value, path]) => {
    for (const schema of [compileSchema(zod), compileSchema(typeBox)]) {
      const result = schema.validate(value);
      if (result.ok) throw new Error("The value was taken");
      expect(result.issues.map((issue) => issue.path)).toEqual([path]);
      expect(result.issues[0]?.message).not.toBe("");
    }
  });

  test("lists every issue", () => {
    for (const schema of [compileSchema(zod), compileSchema(typeBox)]) {
      const result = schema.validate({ name: 1, items: [{ price: "a" }, { price: "b" }] });
      if (result.ok) throw new Error("The value was taken");
      const paths = result.issues.map((issue) => issue.path).toSorted();
      expect(paths).toEqual(["items.0.price", "items.1.price", "name"]);
    }
  });

  test("names every unknown field", () => {
    for (const schema of [compileSchema(zod), compileSchema(typeBox)]) {
      const result = schema.validate({ name: "a", items: [], x: 1, y: 2 });
      if (result.ok) throw new Error("The value was taken");
      expect(result.issues.map((issue) => issue.path).toSorted()).toEqual(["x", "y"]);
    }
  });

  test("unescapes the names of fields", () => {
    const schema = Type.Object({ "a/b~c": Type.Object({ "~1": Type.String() }) });
    const result = compileSchema(schema).validate({ "a/b~c": { "~1": 5 } });
    expect(result).toMatchObject({ ok: false, issues: [{ path: "a/b~c.~1" }] });
  });
});

describe("text from a URL", () => {
  test("is read as the type that is wanted", () => {
    const schema = Type.Object({
      n: Type.Integer(),
      yes: Type.Boolean(),
      list: Type.Array(Type.Integer()),
      text: Type.String(),
    });
    const given = { n: "3", yes: "true", list: "4", text: "5" };
    expect(compileSchema(schema, "text").validate(given)).toEqual({
      ok: true,
      value: { n: 3, yes: true, list: [4], text: "5" },
    });
    expect(compileSchema(schema).validate(given).ok).toBe(false);
  });

  const notNumbers = ["", " ", " 3", "3x", "0x3", "0b1", "1e", "NaN", "Infinity", "1e999", "--3"];
  test.for(notNumbers)("is no number when it is %j", (text) => {
    const schema = Type.Object({
      n: Type.Optional(Type.Number()),
      i: Type.Optional(Type.Integer()),
      list: Type.Optional(Type.Array(Type.Number())),
    });
    const { validate } = compileSchema(schema, "text");
    for (const name of ["n", "i", "list"]) {
      const path = name === "list" ? "list.0" : name;
      expect(validate({ [name]: text })).toMatchObject({ ok: false, issues: [{ path }] });
    }
  });

  test.for([
    ["0", 0],
    ["-7", -7],
    ["007", 7],
    ["1.5", 1.5],
    ["1e3", 1_000],
    ["2.5E-1", 0.25],
  ] as const)("is a number when it is %j", ([text, n]) => {
    const { validate } = compileSchema(Type.Object({ n: Type.Number() }), "text");
    expect(validate({ n: text })).toEqual({ ok: true, value: { n } });
  });
});

describe("the JSON Schema", () => {
  test("of Zod is what may come in and what may go out", () => {
    const compiled = compileSchema(z.object({ a: z.string(), n: z.number().default(1) }));
    expect(compiled.input).toMatchObject({ required: ["a"] });
    expect(compiled.output).toMatchObject({ required: ["a", "n"] });
    expect(compiled.input).toBe(compiled.input);
  });

  test("of TypeBox is the type itself, as plain data", () => {
    const schema = Type.Object({ a: Type.Optional(Type.String({ format: "email" })) });
    const compiled = compileSchema(schema);
    expect(compiled.input).toEqual(JSON.parse(JSON.stringify(schema)));
    expect(compiled.output).toEqual(compiled.input);
  });

  test("is not needed for what it cannot say", () => {
    const compiled = compileSchema(z.string().transform((text) => new Date(text)));
    const at = "2030-01-02T00:00:00.000Z";
    expect(compiled.validate(at)).toEqual({ ok: true, value: new Date(at) });
    expect(compiled.input).toMatchObject({ type: "string" });
    expect(() => compiled.output).toThrow(/Transforms/);
  });
});

test("a schema that waits is refused with a word on what to do", () => {
  const compiled = compileSchema(z.string().refine(async () => true));
  expect(() => compiled.validate("x")).toThrow(/asynchronously/);
});
