import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { newId, randomText } from "../../src/kernel/index.ts";

afterEach(() => {
  vi.useRealTimers();
});

function idAt(ms: number): string {
  vi.setSystemTime(ms);
  return newId("job");
}

// 8 digits in base 62 last until the year 8888.
const instants = fc.integer({ min: 0, max: 62 ** 8 - 1 });

describe("an id", () => {
  test("has its prefix and 22 base62 digits", () => {
    expect(newId("proj")).toMatch(/^proj_[0-9A-Za-z]{22}$/);
  });

  test("made in a later millisecond sorts after", () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    fc.assert(
      fc.property(instants, instants, (a, b) => {
        const [earlier, later] = [idAt(Math.min(a, b)), idAt(Math.max(a, b))];
        if (a !== b) expect(earlier < later).toBe(true);
        else expect(earlier.slice(0, -14)).toBe(later.slice(0, -14));
      }),
      {
        examples: [
          [61, 62],
          [0, 1],
          [62 ** 8 - 2, 62 ** 8 - 1],
          [1_899_999_999_999, 1_900_000_000_000],
        ],
      },
    );
  });

  test("is not made twice", () => {
    const ids = new Set(Array.from({ length: 100_000 }, () => newId("x")));
    expect(ids.size).toBe(100_000);
  });
});

describe("random text", () => {
  test("has the length that was asked for, of digits and letters", () => {
    fc.assert(
      fc.property(fc.nat(300), (length) => {
        expect(randomText(length)).toMatch(new RegExp(`^[0-9A-Za-z]{${length}}$`));
      }),
    );
  });

  test("favours no character", () => {
    const draws = 62 * 2_000;
    const counts = new Map<string, number>();
    for (const character of randomText(draws)) {
      counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    expect(counts.size).toBe(62);
    // Eight standard deviations of a fair draw; a byte taken modulo 62 misses by more than ten.
    for (const count of counts.values()) expect(Math.abs(count - 2_000)).toBeLessThan(360);
  });
});
