import fc from "fast-check";
import { expect, test } from "vitest";

import { isSameSelection, isSelected, selectionOf } from "../../../src/gateway/cache/vary.ts";

const name = fc.constantFrom("accept", "accept-language", "x-a", "x-b", "x-c");
const value = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 2 });
const request = fc.dictionary(name, value).map((fields) => Object.entries(fields).flat());
const vary = fc.array(name).map((names) => names.join(", "));

function valueIn(raw: readonly string[], field: string): string | undefined {
  const index = raw.findIndex((part, at) => at % 2 === 0 && part === field);
  return index === -1 ? undefined : raw[index + 1];
}

test("a request selects an answer exactly when it has the fields of Vary as the first one had them", () => {
  fc.assert(
    fc.property(vary, request, request, (list, first, second) => {
      const names = list.split(", ").filter((it) => it !== "");
      const isSame = names.every((it) => valueIn(first, it) === valueIn(second, it));
      expect(isSelected(selectionOf(list, first), second)).toBe(isSame);
    }),
  );
});

test("the order of Vary and of the request's fields means nothing", () => {
  fc.assert(
    fc.property(fc.uniqueArray(name), request, (names, raw) => {
      const reversed = names.toReversed();
      const turned = [];
      for (let index = raw.length - 2; index >= 0; index -= 2)
        turned.push(...raw.slice(index, index + 2));
      const one = selectionOf(names.join(","), raw);
      expect(isSameSelection(one, selectionOf(reversed.join(" , ").toUpperCase(), turned))).toBe(
        true,
      );
    }),
  );
});

test("a field that came twice is one list, and every line of it counts", () => {
  const selection = selectionOf("User-Agent, X", ["user-agent", "a", "x", "1, 2"]);
  expect(isSelected(selection, ["User-Agent", "a", "X", "1", "x", "2"])).toBe(true);
  expect(isSelected(selection, ["user-agent", "a", "user-agent", "b", "x", "1,2"])).toBe(false);
});

test("languages are the same in any order, case and spacing, and no others are", () => {
  const selection = selectionOf("Accept-Language", ["accept-language", "en, de;q=0.5"]);
  expect(isSelected(selection, ["accept-language", " DE; q=0.5 ,EN"])).toBe(true);
  expect(isSelected(selection, ["accept-language", "de, en;q=0.5"])).toBe(false);
});
