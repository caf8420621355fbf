import { describe, expect, test } from "vitest";

import { formatDollars, mostOf, parseDollars, parsePriceList } from "../src/prices.ts";

describe("a price list", () => {
  const prices = parsePriceList("+1=0.0083, +44=0.0524,+1876=0.25");

  test.each([
    ["+15551230001", 1, 8_300],
    ["+15551230001", 3, 24_900],
    ["+447700900123", 1, 52_400],
    ["+18765551234", 1, 250_000],
  ])("to %s with %d segments is at most %d millionths", (to, segments, most) => {
    expect(mostOf(prices, to, segments)).toBe(most);
  });

  test("without a price for a region refuses it", () => {
    expect(() => mostOf(prices, "+4930123456", 1)).toThrow(/no price for this number's region/);
    expect(mostOf(parsePriceList("+=0.2"), "+4930123456", 1)).toBe(200_000);
  });

  test.each(["", "+1", "1=0.1", "+1=-0.1", "+1=0.1;+44=0.2", "+1=0.12345678"])(
    "written as %j is refused",
    (text) => {
      expect(() => parsePriceList(text)).toThrow(/is not a price list/);
    },
  );
});

test.each([
  ["20", 20_000_000],
  ["20.00", 20_000_000],
  ["0.0083", 8_300],
  ["0.000001", 1],
])("%s dollars are %d millionths", (text, micros) => {
  expect(parseDollars(text)).toBe(micros);
});

test.each(["", "-1", "1,5", "1e3", "0.0000001"])("%j is no amount", (text) => {
  expect(() => parseDollars(text)).toThrow(/is not an amount/);
});

test("millionths read as dollars", () => {
  expect(formatDollars(20_000_000)).toBe("20.00 USD");
});
