import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseRetryAfterSeconds, retryWaitMs } from "../../src/resilience/index.ts";

const now = Date.UTC(2026, 10, 21, 12, 0, 0);

describe("Retry-After", () => {
  test.each([
    ["120", 120],
    ["0", 0],
    [" 7 ", 7],
    ["007", 7],
  ])("reads delta-seconds %j", (value, seconds) => {
    expect(parseRetryAfterSeconds(value, now)).toBe(seconds);
  });

  test.each([
    ["IMF-fixdate", "Sat, 21 Nov 2026 12:01:30 GMT"],
    ["RFC 850", "Saturday, 21-Nov-26 12:01:30 GMT"],
    ["asctime", "Sat Nov 21 12:01:30 2026"],
  ])("reads an HTTP-date in the form %s", (_form, value) => {
    expect(parseRetryAfterSeconds(value, now)).toBe(90);
  });

  test("reads the one-digit day of asctime", () => {
    const at = Date.UTC(1994, 10, 6, 8, 49, 30);
    expect(parseRetryAfterSeconds("Sun Nov  6 08:49:37 1994", at)).toBe(7);
  });

  test("rounds a date up to the next whole second", () => {
    expect(parseRetryAfterSeconds("Sat, 21 Nov 2026 12:01:30 GMT", now + 1)).toBe(90);
  });

  test("takes a date in the past as no wait at all", () => {
    expect(parseRetryAfterSeconds("Fri, 20 Nov 2026 12:00:00 GMT", now)).toBe(0);
  });

  test("places a two-digit year more than 50 years ahead in the past", () => {
    expect(parseRetryAfterSeconds("Sunday, 06-Nov-94 08:49:37 GMT", now)).toBe(0);
    expect(parseRetryAfterSeconds("Friday, 06-Nov-76 08:49:37 GMT", now)).toBe(86_400);
  });

  test("never exceeds its bound", () => {
    expect(parseRetryAfterSeconds("9".repeat(400), now)).toBe(86_400);
    expect(parseRetryAfterSeconds("Sat, 21 Nov 9999 12:00:00 GMT", now)).toBe(86_400);
    expect(parseRetryAfterSeconds("500", now, 60)).toBe(60);
  });

  test.each([
    null,
    undefined,
    "",
    " ",
    "-1",
    "1.5",
    "1e9",
    "0x10",
    "30, 60",
    "soon",
    "2026-11-21T12:01:30Z",
    "Sat, 31 Feb 2026 12:00:00 GMT",
    "Sat, 21 Nov 2026 24:00:00 GMT",
    "Sat, 21 Nov 2026 12:60:00 GMT",
    "Sat, 00 Nov 2026 12:00:00 GMT",
    "Sat, 21 Nov 2026 12:01:30 CET",
  ])("ignores %j", (value) => {
    expect(parseRetryAfterSeconds(value, now)).toBeUndefined();
  });

  test("is total: any text gives nothing or a whole number within the bound", () => {
    const anyText = fc.oneof(
      fc.string({ unit: "binary-ascii", maxLength: 60 }),
      fc.stringMatching(/^[\d .,:+\-eGMT]{0,40}$/),
      fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
    );
    fc.assert(
      fc.property(anyText, fc.nat({ max: 1_000_000 }), (value, maxSeconds) => {
        const seconds = parseRetryAfterSeconds(value, now, maxSeconds);
        if (seconds === undefined) return;
        expect(Number.isInteger(seconds)).toBe(true);
        expect(seconds).toBeGreaterThanOrEqual(0);
        expect(seconds).toBeLessThanOrEqual(maxSeconds);
      }),
      { numRuns: 500 },
    );
  });

  test("reads every date that the platform writes as an HTTP-date", () => {
    const dates = fc.date({
      min: new Date(Date.UTC(1970, 0, 1)),
      max: new Date(Date.UTC(9999, 11, 31)),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(dates, (date) => {
        const at = Math.floor(date.getTime() / 1_000) * 1_000;
        expect(parseRetryAfterSeconds(date.toUTCString(), at - 5_000)).toBe(5);
      }),
    );
  });
});

describe("the wait before the next attempt", () => {
  test("is the longer of the backoff and what the provider asked for", () => {
    expect(retryWaitMs(2_000, 30)).toBe(30_000);
    expect(retryWaitMs(60_000, 30)).toBe(60_000);
    expect(retryWaitMs(2_000, undefined)).toBe(2_000);
  });
});
