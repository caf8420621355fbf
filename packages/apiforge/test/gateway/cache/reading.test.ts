import fc from "fast-check";
import { expect, test } from "vitest";

import {
  isUnqualified,
  listedFields,
  parseDirectives,
  parseTargeted,
  seconds,
} from "../../../src/gateway/cache/directives.ts";
import { parseHttpDate } from "../../../src/gateway/cache/http-date.ts";

const now = Date.parse("2026-01-01T00:00:00Z");

test("every date that is written is read, to the second", () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date(0), max: new Date("9999-12-31"), noInvalidDate: true }),
      (at) => {
        expect(parseHttpDate(at.toUTCString(), now)).toBe(Math.floor(at.getTime() / 1_000) * 1_000);
      },
    ),
  );
});

test.each([
  ["Thursday, 18-Aug-50 02:01:18 GMT", "2050-08-18T02:01:18Z"],
  ["Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z"],
  ["Thu Aug  8 02:01:18 2050", "2050-08-08T02:01:18Z"],
  ["thu, 18 aug 2050 02:01:18 gmt", "2050-08-18T02:01:18Z"],
])("%s is a date", (value, iso) => {
  expect(parseHttpDate(value, now)).toBe(Date.parse(iso));
});

test.each([
  "0",
  "",
  "Thu, 18 Aug 2050 02:01:18 UTC",
  "Thu, 18 Aug 50 02:01:18 GMT",
  "Thu 18 Aug 2050 02:01:18 GMT",
  "Thu, 18  Aug 2050 02:01:18 GMT",
  "Thu, 18 Aug 2050 2:01:18 GMT",
  "Thu, 31 Feb 2050 02:01:18 GMT",
  "Thu, 18 Aug 2050 25:01:18 GMT",
])("%j is no date", (value) => {
  expect(parseHttpDate(value, now)).toBeUndefined();
});

test("what stands in quotes is no directive", () => {
  const directives = parseDirectives('extension="max-age=3600, no-store", Max-Age=1');
  expect([...directives]).toEqual([
    ["extension", "max-age=3600, no-store"],
    ["max-age", "1"],
  ]);
});

test("a member that cannot be read takes no other with it", () => {
  const directives = parseDirectives('max-age =9, , "x", no-store,s-maxage=5 , private="a, B"');
  expect(directives.has("max-age")).toBe(false);
  expect(directives.has("no-store")).toBe(true);
  expect(seconds(directives, "s-maxage")).toBe(5);
  expect(isUnqualified(directives, "private")).toBe(false);
  expect(listedFields(directives, "private")).toEqual(["a", "b"]);
});

test("no text keeps the reader from its end, and no-store is found behind any list of directives", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (value) => {
      parseDirectives(value);
      parseTargeted(value);
    }),
  );
  const directive = fc.constantFrom("a", "max-age=1", 'b="x, y"', "", "c=d");
  fc.assert(
    fc.property(fc.array(directive), fc.constantFrom(",", " , ", ",,"), (others, comma) => {
      expect(parseDirectives([...others, "No-Store"].join(comma)).has("no-store")).toBe(true);
    }),
  );
});

test.each([
  [
    "max-age=10, foobar",
    [
      ["max-age", "10"],
      ["foobar", ""],
    ],
  ],
  ["no-store=?0, private", [["private", ""]]],
  ["max-age=10, &&&&&", undefined],
  ['max-age="10"', undefined],
  ["Max-Age=10", undefined],
  ["max-age=10,", undefined],
  ["", undefined],
])("the targeted field %j", (value, expected) => {
  const read = parseTargeted(value);
  expect(read && [...read]).toEqual(expected);
});
