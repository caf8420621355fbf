import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCron } from "../../src/durable/schedules/cron.ts";

/** The first `count` ticks after `from`, as ISO text. */
function ticksAfter(cron: string, timeZone: string, from: string, count: number): string[] {
  const times = parseCron(cron, timeZone);
  const ticks: string[] = [];
  let at: number | null = Date.parse(from);
  for (let index = 0; index < count && at !== null; index += 1) {
    at = times.after(at);
    if (at !== null) ticks.push(new Date(at).toISOString().replace(":00.000Z", "Z"));
  }
  return ticks;
}

/** Nights in which a zone's clock is changed: a daily time that is skipped, and one that occurs twice. */
const nights = [
  {
    zone: "Europe/Berlin",
    skipped: "30 2 * * *",
    before: "2026-03-28T12:00Z",
    // 02:00 becomes 03:00: right after the gap, once; then at 02:30 summer time.
    afterGap: ["2026-03-29T01:00Z", "2026-03-30T00:30Z"],
    repeated: "30 2 * * *",
    beforeRepeat: "2026-10-24T12:00Z",
    once: ["2026-10-25T00:30Z", "2026-10-26T01:30Z"],
  },
  {
    zone: "America/New_York",
    skipped: "15,45 2 * * *",
    before: "2026-03-07T12:00Z",
    // Both times meet at the end of the gap.
    afterGap: ["2026-03-08T07:00Z", "2026-03-09T06:15Z", "2026-03-09T06:45Z"],
    repeated: "30 1 * * *",
    beforeRepeat: "2026-10-31T12:00Z",
    once: ["2026-11-01T05:30Z", "2026-11-02T06:30Z"],
  },
  {
    zone: "Australia/Lord_Howe",
    skipped: "15 2 * * *",
    before: "2026-10-03T00:00Z",
    // A gap of half an hour: 02:00 becomes 02:30.
    afterGap: ["2026-10-03T15:30Z", "2026-10-04T15:15Z"],
    repeated: "45 1 * * *",
    beforeRepeat: "2026-04-04T00:00Z",
    once: ["2026-04-04T14:45Z", "2026-04-05T15:15Z"],
  },
  {
    zone: "Africa/Cairo",
    // The gap is at midnight: the day begins at 01:00.
    skipped: "0 0 * * *",
    before: "2026-04-23T12:00Z",
    afterGap: ["2026-04-23T22:00Z", "2026-04-24T21:00Z"],
    repeated: "30 23 * * *",
    beforeRepeat: "2026-10-29T12:00Z",
    once: ["2026-10-29T20:30Z", "2026-10-30T21:30Z"],
  },
];

describe.for(nights)("in $zone", (night) => {
  test("a time that the clock skips ticks once, right after the gap", () => {
    const { skipped, zone, before, afterGap } = night;
    expect(ticksAfter(skipped, zone, before, afterGap.length)).toEqual(afterGap);
  });

  test("a time that occurs twice ticks the first time only", () => {
    const { repeated, zone, beforeRepeat, once } = night;
    expect(ticksAfter(repeated, zone, beforeRepeat, once.length)).toEqual(once);
  });

  test("every minute stays every minute through both changes", () => {
    const times = parseCron("* * * * *", night.zone);
    for (const from of [night.before, night.beforeRepeat]) {
      let at = Date.parse(from);
      for (let minute = 0; minute < 2_000; minute += 1) {
        expect(times.after(at)).toBe(at + 60_000);
        at += 60_000;
      }
    }
  });
});

const zones = fc.constantFrom("UTC", "Asia/Kolkata", ...nights.map(({ zone }) => zone));
const field = (max: number) =>
  fc.oneof(
    fc.constant("*"),
    fc.integer({ min: 0, max }).map(String),
    fc.integer({ min: 2, max: 20 }).map((step) => `*/${step}`),
    fc.uniqueArray(fc.integer({ min: 0, max }), { minLength: 2, maxLength: 3 }).map(String),
  );
const expressions = fc
  .tuple(fc.constantFrom("0", "*/20", "5,35"), field(59), field(23))
  .map((fields) => `${fields.join(" ")} * * *`);
// From any moment of three days around a change of the clock.
const moments = fc
  .tuple(
    fc.constantFrom(...nights.flatMap(({ before, beforeRepeat }) => [before, beforeRepeat])),
    fc.integer({ min: 0, max: 2 * 24 * 3_600_000 }),
  )
  .map(([from, offsetMs]) => Date.parse(from) + offsetMs);

test("ticks strictly increase, whatever the expression, the zone and the moment", () => {
  fc.assert(
    fc.property(expressions, zones, moments, (cron, zone, from) => {
      const times = parseCron(cron, zone);
      let at = from;
      for (let index = 0; index < 30; index += 1) {
        const next = times.after(at);
        expect(next).toBeGreaterThan(at);
        at = next ?? at;
      }
    }),
    { numRuns: 300 },
  );
});

test("what lies behind is what lay ahead: no tick depends on when it is looked for", () => {
  fc.assert(
    fc.property(expressions, zones, moments, fc.nat(600_000), (cron, zone, from, earlyMs) => {
      const times = parseCron(cron, zone);
      const ahead: number[] = [];
      for (let at = from; ahead.length < 12; at = ahead.at(-1) ?? at) {
        ahead.push(times.after(at) ?? Number.NaN);
      }
      const last = ahead.at(-1) ?? 0;
      expect(times.latest(12, last)).toEqual(ahead.toReversed());
      expect(times.latest(11, last - 1)).toEqual(ahead.slice(0, -1).toReversed());
      // From a moment before, the same ticks are met.
      let early = times.after(from - earlyMs);
      while (early !== null && early <= from) early = times.after(early);
      expect(early).toBe(ahead[0]);
    }),
    { numRuns: 300 },
  );
});

test.for([
  "* * * * * *",
  "0 0 29 2 *",
  "@daily",
  "0 0 L * *",
  "0 9 * * MON-FRI",
  "0 0 0 1 1 * 2031",
])("%s is understood", (cron) => {
  expect(parseCron(cron, "Europe/Berlin").after(Date.UTC(2030, 0, 1))).toBeGreaterThan(0);
});

test.for([
  "",
  "61 * * * *",
  "* * * *",
  "a b c d e",
  "2030-01-01T00:00:00",
  "@reboot",
  "5/5 * * * *",
])("%j is no cron expression", (cron) => {
  expect(() => parseCron(cron, "UTC")).toThrow(RangeError);
  expect(() => parseCron(cron, "UTC")).toThrow(`"${cron}" is not a cron expression (`);
});

test.for(["", "Mars/Olympus", "Europe/Berlin "])("%j is no time zone", (timeZone) => {
  expect(() => parseCron("0 0 * * *", timeZone)).toThrow(RangeError);
  expect(() => parseCron("0 0 * * *", timeZone)).toThrow(`"${timeZone}" is not a time zone`);
});
