import fc from "fast-check";
import { expect, test } from "vitest";

import { SubjectIndex } from "../../../src/edge/limits/subject-index.ts";
import { longestText } from "../../../src/edge/limits/text-arena.ts";

/** Short ones that meet again, such as take one byte for a character and such as take two. */
const subject = fc.oneof(
  fc.stringMatching(/^[ab\u{1F600}]{0,3}$/u),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.constantFrom("x".repeat(longestText), "y".repeat(longestText + 1), "é".repeat(5_000)),
);
const step = fc.record({ kind: fc.constantFrom("add", "add", "delete", "find"), subject });

test("numbers are found by the texts that have them, whatever came and went", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const index = new SubjectIndex();
      const model = new Map<string, number>();
      const free: number[] = [];
      for (const each of steps) {
        const known = model.get(each.subject);
        expect(index.find(each.subject)).toBe(known);
        if (each.kind === "add" && known === undefined) {
          const number = free.pop() ?? model.size;
          index.add(each.subject, number);
          model.set(each.subject, number);
        } else if (each.kind === "delete" && known !== undefined) {
          index.delete(known);
          model.delete(each.subject);
          free.push(known);
          expect(index.has(known)).toBe(false);
        }
        expect(index.size).toBe(model.size);
      }
      for (const [text, number] of model) {
        expect(index.find(text)).toBe(number);
        // What is written of it is found as well: of a long one the digest.
        const written = index.text(number) ?? "";
        expect(index.find(written)).toBe(number);
        if (text.length <= longestText) expect(written).toBe(text);
      }
    }),
    { numRuns: 300 },
  );
});

test("many come and half of them go, and the rest is where it was", () => {
  const index = new SubjectIndex();
  const count = 20_000;
  for (let n = 0; n < count; n++) index.add(`subject-${n}`, n);
  for (let n = 0; n < count; n += 2) index.delete(n);
  for (let n = 0; n < count; n += 4) index.add(`other-${n}`, n);
  for (let n = 0; n < count; n++) {
    expect(index.find(`subject-${n}`)).toBe(n % 2 === 1 ? n : undefined);
    if (n % 4 === 0) expect(index.find(`other-${n}`)).toBe(n);
  }
});
