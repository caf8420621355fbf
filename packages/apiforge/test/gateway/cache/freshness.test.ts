import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { parseDirectives } from "../../../src/gateway/cache/directives.ts";
import { fieldsOf } from "../../../src/gateway/cache/fields.ts";
import {
  ageMs,
  freshnessOf,
  policyOf,
  remainingMs,
  type Freshness,
} from "../../../src/gateway/cache/freshness.ts";
import { mayStandIn, reuseOf } from "../../../src/gateway/cache/reuse.ts";

const now = Date.parse("2026-01-01T00:00:00Z");
const date = (atMs: number): string => new Date(atMs).toUTCString();

function freshness(raw: readonly string[], at = now, requestedAt = at, status = 200): Freshness {
  const fields = fieldsOf(raw);
  return freshnessOf(status, fields, policyOf(fields), { requestedAt, receivedAt: at });
}

const wholeSeconds = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 100_000 }));

test("what was counted as age counts from what Age, Date and the wait for the answer say at least", () => {
  fc.assert(
    fc.property(wholeSeconds, wholeSeconds, wholeSeconds, wholeSeconds, (age, old, wait, later) => {
      const requestedAt = now - wait * 1_000;
      const made = now - old * 1_000;
      const stored = freshness(["date", date(made), "age", String(age)], now, requestedAt);
      const expected = Math.max(old, age + wait) * 1_000;
      expect(ageMs(stored, now + later * 1_000)).toBe(expected + later * 1_000);
    }),
  );
});

test("an answer is fresh exactly while its age is below its lifetime", () => {
  fc.assert(
    fc.property(wholeSeconds, wholeSeconds, wholeSeconds, (lifetime, age, later) => {
      const raw = ["cache-control", `max-age=${lifetime}`, "age", String(age)];
      const reuse = reuseOf(freshness(raw), parseDirectives(""), now + later * 1_000);
      expect(reuse).toBe(age + later < lifetime ? "fresh" : "validate");
    }),
  );
});

test("a request never gets what its directives exclude", () => {
  const bound = fc.option(wholeSeconds, { nil: undefined });
  fc.assert(
    fc.property(
      fc.record({ lifetime: wholeSeconds, age: wholeSeconds, window: wholeSeconds }),
      fc.record({ maxAge: bound, minFresh: bound, maxStale: bound, noCache: fc.boolean() }),
      fc.constantFrom("", ", must-revalidate", ", proxy-revalidate", ", no-cache"),
      ({ lifetime, age, window }, { maxAge, minFresh, maxStale, noCache }, strict) => {
        const raw = [
          "cache-control",
          `max-age=${lifetime}, stale-while-revalidate=${window}, stale-if-error=${window}${strict}`,
          "age",
          String(age),
        ];
        const asked = parseDirectives(
          [
            ...(maxAge === undefined ? [] : [`max-age=${maxAge}`]),
            ...(minFresh === undefined ? [] : [`min-fresh=${minFresh}`]),
            ...(maxStale === undefined ? [] : [`max-stale=${maxStale}`]),
            ...(noCache ? ["no-cache"] : []),
          ].join(", "),
        );
        const stored = freshness(raw);
        const reuse = reuseOf(stored, asked, now);
        if (mayStandIn(stored, asked, now)) {
          expect(strict).toBe("");
          expect(age - lifetime).toBeLessThanOrEqual(window);
        }
        if (reuse === "validate") return;
        expect(noCache).toBe(false);
        expect(age).toBeLessThanOrEqual(maxAge ?? age);
        expect(lifetime - age).toBeGreaterThanOrEqual(minFresh ?? lifetime - age);
        if (reuse === "fresh") expect(age).toBeLessThan(lifetime);
        else {
          expect(strict).toBe("");
          expect(age - lifetime).toBeLessThanOrEqual(Math.max(window, maxStale ?? 0));
        }
      },
    ),
  );
});

describe("the lifetime", () => {
  const hour = 3_600_000;
  test.each([
    ["of s-maxage before max-age", ["cache-control", "max-age=1, s-maxage=5"], 5_000],
    ["of max-age before Expires", ["cache-control", "max-age=5", "expires", date(now)], 5_000],
    ["of Expires from Date", ["date", date(now - hour), "expires", date(now)], hour],
    ["of Expires that is no date", ["expires", "0"], -1],
    ["of two Expires", ["expires", date(now + hour), "expires", date(now + hour)], -1],
    ["of a max-age that is no number", ["cache-control", "max-age=-5"], 0],
    ["of the first max-age", ["cache-control", "max-age=5, max-age=9"], 5_000],
    ["of a tenth since the last change", ["last-modified", date(now - hour)], hour / 10],
    ["of an hour at most by that", ["last-modified", date(now - 1_000 * hour)], hour],
    ["of nothing", [], 0],
    [
      "of CDN-Cache-Control before all others",
      ["cdn-cache-control", "max-age=7", "cache-control", "s-maxage=1", "expires", date(now)],
      7_000,
    ],
    [
      "of Cache-Control beside a CDN-Cache-Control that cannot be read",
      ["cdn-cache-control", 'max-age="7"', "cache-control", "max-age=1"],
      1_000,
    ],
  ])("%s", (_, raw, lifetimeMs) => {
    expect(freshness(raw).lifetimeMs).toBe(lifetimeMs);
  });

  test("is not guessed for a status that says nothing lasting", () => {
    const raw = ["last-modified", date(now - hour)];
    expect(freshness(raw, now, now, 503).lifetimeMs).toBe(0);
    expect(freshness(raw, now, now, 404).lifetimeMs).toBe(hour / 10);
  });
});

test("an upstream's stale-while-revalidate counts beside s-maxage, a client's max-stale does not", () => {
  const stored = freshness(["cache-control", "s-maxage=1, stale-while-revalidate=60", "age", "5"]);
  expect(reuseOf(stored, parseDirectives(""), now)).toBe("behind");
  const other = freshness(["cache-control", "s-maxage=1", "age", "5"]);
  expect(reuseOf(other, parseDirectives("max-stale"), now)).toBe("validate");
});

test("a clock that is set back makes nothing younger than new", () => {
  const stored = freshness(["cache-control", "max-age=5"]);
  expect(ageMs(stored, now - 60_000)).toBe(0);
  expect(remainingMs(stored, now - 60_000)).toBe(5_000);
});
