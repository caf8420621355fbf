import fc from "fast-check";
import { expect, test } from "vitest";

import { ArraySplitter } from "../../src/edge/body/array-splitter.ts";
import {
  LineSplitter,
  maxItemBytes,
  type ItemSplitter,
} from "../../src/edge/body/item-splitter.ts";

const tooLong = (): Error => new Error("too long");

/** What `splitter` makes of `text` when it arrives in pieces that end at `cuts`. */
function split(splitter: ItemSplitter, text: string, cuts: readonly number[]): unknown[] {
  const bytes = Buffer.from(text);
  const items: unknown[] = [];
  const take = (found: Iterable<Buffer>): void => {
    for (const item of found) items.push(JSON.parse(item.toString()));
  };
  const ends = cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b);
  let start = 0;
  for (const end of [...ends, bytes.length]) {
    take(splitter.push(bytes.subarray(start, end)));
    start = end;
  }
  take(splitter.end());
  return items;
}

const values = fc.array(fc.jsonValue({ maxDepth: 3, stringUnit: "binary" }), { maxLength: 12 });
const cuts = fc.array(fc.nat(), { maxLength: 40 });

test("an array is cut into its items wherever its bytes are torn apart", () => {
  fc.assert(
    fc.property(values, cuts, fc.constantFrom(undefined, 2, "\t"), (items, at, space) => {
      const expected = JSON.parse(JSON.stringify(items));
      const text = JSON.stringify({ "a b": items }, undefined, space);
      expect(split(new ArraySplitter("a b", tooLong), text, at)).toEqual(expected);
    }),
  );
});

test("lines are cut into their items wherever their bytes are torn apart", () => {
  fc.assert(
    fc.property(values, cuts, fc.constantFrom("\n", "\r\n", "\n\n"), (items, at, end) => {
      const expected = JSON.parse(JSON.stringify(items));
      const text = items.map((item) => JSON.stringify(item)).join(end);
      expect(split(new LineSplitter(tooLong), text, at)).toEqual(expected);
    }),
  );
});

test("whatever is no array of the field is refused, and what is accepted is one", () => {
  const pieces = fc.constantFrom("{", "}", "[", "]", ",", ":", '"a"', '"b"', "1", " ", '"', "\\");
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 14 }), cuts, (parts, at) => {
      const text = parts.join("");
      let items: unknown[];
      try {
        items = split(new ArraySplitter("a", tooLong), text, at);
      } catch {
        return;
      }
      expect(JSON.parse(text)).toEqual({ a: items });
    }),
    { numRuns: 3_000 },
  );
});

test("an item without end is refused before it fills the memory", () => {
  const endless = `{"a":["${"x".repeat(maxItemBytes + 10)}`;
  expect(() => split(new ArraySplitter("a", tooLong), endless, [])).toThrow("too long");
  const line = `"${"x".repeat(maxItemBytes + 10)}`;
  expect(() => split(new LineSplitter(tooLong), line, [])).toThrow("too long");
});
