import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { durationMs, type Duration } from "../../src/kernel/index.ts";

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const units = fc.constantFrom(...(Object.keys(unitMs) as (keyof typeof unitMs)[]));

describe("a duration", () => {
  test("of whole units is exactly that many milliseconds", () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), units, (count, unit) => {
        expect(durationMs(`${count}${unit}`)).toBe(count * unitMs[unit]);
      }),
    );
  });

  test("of a fraction is the nearest whole millisecond", () => {
    fc.assert(
      fc.property(
        fc.nat(1_000),
        fc.integer({ min: 0, max: 999 }),
        units,
        (whole, thousandths, unit) => {
          const text = `${whole}.${String(thousandths).padStart(3, "0")}`;
          const ms = durationMs(`${text as `${number}`}${unit}`);
          const exact = (whole + thousandths / 1_000) * unitMs[unit];
          expect(Number.isInteger(ms)).toBe(true);
          expect(Math.abs(ms - exact)).toBeLessThanOrEqual(0.501);
        },
      ),
    );
  });

  test.for([
    ["1.1s", 1_100],
    ["0.5h", 1_800_000],
    ["2.5d", 216_000_000],
    [0, 0],
    [1_500, 1_500],
    [1.4, 1],
  ] as const)("%s is %d ms", ([duration, ms]) => {
    expect(durationMs(duration)).toBe(ms);
  });

  test.for([-1, Number.NaN, Infinity, -Infinity, 2 ** 53])("%d is none", (duration) => {
    expect(() => durationMs(duration)).toThrow(RangeError);
  });

  test("in text of any other form is none, and the message says what is", () => {
    const valid = /^\d+(\.\d+)?(ms|s|m|h|d)$/;
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.constantFrom(
            "",
            "s",
            "5",
            "5 s",
            " 5s",
            "5s ",
            "-5s",
            "+5s",
            "5S",
            "5sec",
            ".5s",
            "5.s",
          ),
          fc.constantFrom("1e3s", "0x5s", "5s5s", "5s\n", "٥s", "1_000ms", "5w"),
        ),
        (text) => {
          fc.pre(!valid.test(text) || text.endsWith("\n"));
          expect(() => durationMs(text as Duration)).toThrow(
            /is not a duration; write for example/,
          );
        },
      ),
    );
  });
});
