import fc from "fast-check";
import { Type } from "typebox";
import { describe, expect, test } from "vitest";
import { z } from "zod";

import { compileDeclaredFields } from "../../src/edge/fields/declared-fields.ts";
import { compileSchema, type Schema } from "../../src/schema/index.ts";

function outgoing(schema: Schema) {
  return compileDeclaredFields(compileSchema(schema).output);
}

function incoming(schema: Schema) {
  return compileDeclaredFields(compileSchema(schema).input);
}

const secret = "secret";

/** A value twice: as its schema declares it, and with an undeclared field in every object. */
interface Pair {
  readonly clean: unknown;
  readonly dirty: unknown;
}

/** A schema with a generator of values that satisfy it. */
interface Case {
  readonly zod: z.ZodType;
  readonly pair: fc.Arbitrary<Pair>;
}

interface Field {
  readonly name: string;
  readonly field: Case;
  readonly isOptional: boolean;
}

function plain(zod: z.ZodType, value: fc.Arbitrary<unknown>): Case {
  return { zod, pair: value.map((clean) => ({ clean, dirty: clean })) };
}

function collect(pairs: Readonly<Record<string, Pair>>, extra: object): Pair {
  const side = (name: keyof Pair) =>
    Object.fromEntries(Object.entries(pairs).map(([key, pair]) => [key, pair[name]]));
  return { clean: side("clean"), dirty: { ...extra, ...side("dirty") } };
}

const leaf: fc.Arbitrary<Case> = fc.constantFrom(
  plain(z.string(), fc.string()),
  plain(z.number(), fc.integer()),
  plain(z.boolean(), fc.boolean()),
  plain(z.string().nullable(), fc.option(fc.string())),
  plain(z.literal("x"), fc.constant("x")),
  plain(z.enum(["p", "q"]), fc.constantFrom("p", "q")),
);

function objectOf(fields: readonly Field[], tag?: string): Case {
  const shape: Record<string, z.ZodType> = tag === undefined ? {} : { tag: z.literal(tag) };
  const pairs: Record<string, fc.Arbitrary<Pair>> = {};
  if (tag !== undefined) pairs["tag"] = fc.constant({ clean: tag, dirty: tag });
  const required = Object.keys(pairs);
  for (const { name, field, isOptional } of fields) {
    shape[name] = isOptional ? field.zod.optional() : field.zod;
    pairs[name] = field.pair;
    if (!isOptional) required.push(name);
  }
  const pair = fc.record(pairs, { requiredKeys: required });
  return {
    zod: z.object(shape),
    pair: pair.map((made) => collect(made, { [secret]: { deep: [secret] } })),
  };
}

function listOf(item: Case): Case {
  const pair = fc.array(item.pair, { maxLength: 3 }).map((pairs) => ({
    clean: pairs.map((one) => one.clean),
    dirty: pairs.map((one) => one.dirty),
  }));
  return { zod: z.array(item.zod), pair };
}

function tupleOf(item: Case): Case {
  const pair = item.pair.map(({ clean, dirty }) => ({ clean: ["t", clean], dirty: ["t", dirty] }));
  return { zod: z.tuple([z.string(), item.zod]), pair };
}

// A record declares every name, so an undeclared field can only be inside of its values.
function recordOf(item: Case): Case {
  const pair = fc.dictionary(fc.string({ maxLength: 3 }), item.pair, { maxKeys: 2 });
  return { zod: z.record(z.string(), item.zod), pair: pair.map((pairs) => collect(pairs, {})) };
}

const { node } = fc.letrec<{ node: Case; object: Case }>((tie) => {
  const names = fc.constantFrom("a", "b", "c", "d");
  const fields = fc.uniqueArray(
    fc.record({ name: names, field: tie("node"), isOptional: fc.boolean() }),
    { maxLength: 3, selector: (field) => field.name },
  );
  return {
    object: fields.map((list) => objectOf(list)),
    node: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      leaf,
      tie("object"),
      tie("node").map(listOf),
      tie("node").map(tupleOf),
      tie("node").map(recordOf),
      fc.tuple(fields, fields).map(([one, two]) => {
        const [left, right] = [objectOf(one, "left"), objectOf(two, "right")];
        return {
          zod: z.discriminatedUnion("tag", [left.zod, right.zod] as never),
          pair: fc.oneof(left.pair, right.pair),
        };
      }),
      fc.tuple(tie("object"), leaf).map(([object, other]) => ({
        zod: z.union([other.zod, object.zod]),
        pair: fc.oneof(object.pair, other.pair),
      })),
      // Branches of which several may apply: what any of them declares stays.
      fc.tuple(fields, fields).map(([one, two]) => {
        const both = objectOf([
          ...one,
          ...two.filter((field) => !one.some((other) => other.name === field.name)),
        ]);
        return { zod: z.union([both.zod, z.object({ never: z.string() })]), pair: both.pair };
      }),
    ),
  };
});

/** A schema with one pair of values, printed as such when a property fails. */
const sample = node.chain(({ zod, pair }) =>
  pair.map((values) => ({
    zod,
    ...values,
    [fc.toStringMethod]: () => JSON.stringify([z.toJSONSchema(zod), values]),
  })),
);

describe("an undeclared field never leaves", () => {
  test("whatever the schema, and nothing else is lost", () => {
    fc.assert(
      fc.property(sample, ({ zod, clean, dirty }) => {
        const fields = outgoing(zod);
        expect(fields.findMismatch(dirty)).toBeUndefined();
        const projected = JSON.stringify(fields.project(dirty));
        expect(projected).not.toContain(secret);
        expect(JSON.parse(projected)).toEqual(JSON.parse(JSON.stringify(clean)));
        for (const value of [clean, dirty]) {
          if (!fields.isPlain(value)) continue;
          expect(JSON.stringify(value)).toBe(JSON.stringify(fields.project(value)));
        }
      }),
      { numRuns: 500 },
    );
  });

  test("and is found in what comes in", () => {
    fc.assert(
      fc.property(sample, ({ zod, clean, dirty }) => {
        const fields = incoming(zod);
        expect(fields.findUndeclared(clean)).toBeUndefined();
        const found = fields.findUndeclared(dirty);
        if (JSON.stringify(dirty).includes(secret)) expect(found).toMatch(/(^|\.)secret$/);
        else expect(found).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });
});

interface Tree {
  readonly name: string;
  readonly children: readonly Tree[];
}
const zodTree: z.ZodType<Tree> = z.object({
  name: z.string(),
  get children() {
    return z.array(zodTree);
  },
});
const typeBoxTree = Type.Cyclic(
  { Tree: Type.Object({ name: Type.String(), children: Type.Array(Type.Ref("Tree")) }) },
  "Tree",
);
const ab = z.object({ a: z.string() });

const projections: [string, Schema, unknown, unknown][] = [
  [
    "an intersection",
    z.intersection(ab, z.object({ b: z.string() })),
    { a: "1", b: "2", c: "3" },
    { a: "1", b: "2" },
  ],
  [
    "a TypeBox intersection",
    Type.Intersect([Type.Object({ a: Type.String() }), Type.Object({ b: Type.String() })]),
    { a: "1", b: "2", c: "3" },
    { a: "1", b: "2" },
  ],
  [
    "branches that both apply",
    z.union([ab, z.object({ a: z.string(), b: z.string() })]),
    { a: "1", b: "2", c: "3" },
    { a: "1", b: "2" },
  ],
  [
    "branches that declare one field differently",
    z.union([z.object({ x: ab }), z.object({ x: z.object({ b: z.string() }) })]),
    { x: { a: "1", b: "2", c: "3" } },
    { x: { a: "1", b: "2" } },
  ],
  [
    "closed branches of oneOf",
    Type.Unsafe<unknown>({
      oneOf: [
        { type: "object", properties: { a: {} }, additionalProperties: false },
        { type: "object", properties: { a: {}, b: {} }, additionalProperties: false },
      ],
    }),
    { a: 1, b: 2, c: 3 },
    { a: 1, b: 2 },
  ],
  [
    "a branch that does not apply",
    z.union([ab, z.object({ b: z.number() })]),
    { a: "1", b: "2" },
    { a: "1" },
  ],
  [
    "a TypeBox union",
    Type.Union([Type.Object({ a: Type.String() }), Type.Null()]),
    { a: "1", b: "2" },
    { a: "1" },
  ],
  [
    "a TypeBox object",
    Type.Object({ a: Type.Optional(Type.Object({})) }),
    { a: { b: 1 }, c: 1 },
    { a: {} },
  ],
  [
    "a TypeBox record",
    Type.Record(Type.String(), Type.Object({ a: Type.String() })),
    { k: { a: "1", b: "2" } },
    { k: { a: "1" } },
  ],
  ["a record", z.record(z.string(), ab), { k: { a: "1", b: "2" } }, { k: { a: "1" } }],
  [
    "a catchall",
    z.object({ a: z.string() }).catchall(z.object({ n: z.number() })),
    { a: "1", x: { n: 1, m: 2 } },
    { a: "1", x: { n: 1 } },
  ],
  [
    "an object that says it is open",
    z.looseObject({ a: z.string() }),
    { a: "1", b: { c: 1 } },
    { a: "1", b: { c: 1 } },
  ],
  ["an unknown", z.object({ a: z.unknown() }), { a: { b: 1 }, c: 1 }, { a: { b: 1 } }],
  [
    "a recursive type",
    zodTree,
    { name: "1", x: 1, children: [{ name: "2", x: 1, children: [] }] },
    { name: "1", children: [{ name: "2", children: [] }] },
  ],
  [
    "a recursive TypeBox type",
    typeBoxTree,
    { name: "1", x: 1, children: [{ name: "2", x: 1, children: [] }] },
    { name: "1", children: [{ name: "2", children: [] }] },
  ],
  [
    "a condition",
    Type.Unsafe<unknown>({
      type: "object",
      properties: { kind: { type: "string" } },
      if: { properties: { kind: { const: "x" } } },
      // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
      then: { properties: { x: { type: "string" } } },
      else: { properties: { y: { type: "string" } } },
    }),
    { kind: "x", x: "1", y: "2" },
    { kind: "x", x: "1" },
  ],
  [
    "a dependent schema",
    Type.Unsafe<unknown>({
      type: "object",
      properties: { a: {} },
      dependentSchemas: { a: { properties: { b: {} } } },
    }),
    { a: 1, b: 2, c: 3 },
    { a: 1, b: 2 },
  ],
  [
    "undefined fields",
    z.object({ a: z.string().optional(), b: z.string() }),
    { a: undefined, b: "1" },
    { b: "1" },
  ],
  [
    "a row without a prototype",
    ab,
    Object.assign(Object.create(null), { a: "1", b: "2" }),
    { a: "1" },
  ],
  [
    "a record with a name that sets prototypes",
    z.record(z.string(), z.number()),
    JSON.parse('{"__proto__":1}'),
    JSON.parse('{"__proto__":1}'),
  ],
  [
    "the rest of a tuple",
    z.tuple([z.string()]).rest(ab),
    ["1", { a: "1", b: "2" }],
    ["1", { a: "1" }],
  ],
];

test.each(projections)("%s keeps what it declares", (_what, schema, value, expected) => {
  const fields = outgoing(schema);
  expect(fields.findMismatch(value)).toBeUndefined();
  expect(JSON.stringify(fields.project(value))).toBe(JSON.stringify(expected));
});

test.each([
  ["a missing field", ab, {}],
  ["a wrong type", ab, { a: 1 }],
  ["a date where text is declared", ab, { a: new Date() }],
  ["a number that JSON lacks", z.object({ n: z.number() }), { n: Number.NaN }],
  ["a bigint", z.object({ n: z.number() }), { n: 1n }],
  ["no branch", z.union([ab, z.null()]), { b: 1 }],
  ["nothing", ab, undefined],
])("%s is a mismatch", (_what, schema, value) => {
  expect(outgoing(schema).findMismatch(value)).toMatch(/^body/);
});

test.each([
  ["an object with a word of its own", { id: "a", toJSON: () => ({ secret: 1 }) }],
  [
    "an instance of a class with one",
    new (class {
      id = "a";
      toJSON() {
        return { secret: 1 };
      }
    })(),
  ],
  ["an object that hides one", Object.defineProperty({ id: "a" }, "toJSON", { value: () => 1 })],
  ["a field that nobody declared", { id: "a", secret: 1 }],
  ["one in an item", { id: "a", items: [{ n: 1, secret: 1 }] }],
])("%s is not plain", (_what, value) => {
  const items = z.array(z.object({ n: z.number() })).optional();
  const fields = outgoing(z.object({ id: z.string(), items }));
  expect(fields.isPlain({ id: "a", items: [{ n: 1 }] })).toBe(true);
  expect(fields.isPlain(value)).toBe(false);
});

test("a value that no branch matches is left to validation", () => {
  expect(
    incoming(z.union([ab, z.object({ b: z.string() })])).findUndeclared({ a: 1, x: 1 }),
  ).toBeUndefined();
  expect(incoming(ab).findUndeclared({ a: { x: 1 } })).toBeUndefined();
  expect(incoming(ab).findUndeclared([{ x: 1 }])).toBeUndefined();
});

test("a reference that points nowhere is refused at the start", () => {
  expect(() =>
    outgoing(Type.Unsafe<unknown>({ type: "object", properties: { a: { $ref: "#/$defs/none" } } })),
  ).toThrow();
});
