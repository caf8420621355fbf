import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { defineJob, defineSchedule, type ScheduleOptions } from "../../src/durable/index.ts";
import { parseCron } from "../../src/durable/schedules/cron.ts";
import { planDueTicks, type TickPlan, type TickPolicy } from "../../src/durable/schedules/plan.ts";

const minuteMs = 60_000;
const startAt = Date.UTC(2030, 0, 1);
const everyMinute = parseCron("* * * * *", "UTC");
const usual: TickPolicy = { catchUp: 0, graceMs: minuteMs, isPaused: false };

/** The outcomes of one plan, `f` and `m`, for a schedule that was last served at `startAt`. */
function outcomes(lateMs: number, policy: Partial<TickPolicy> = {}): string {
  const firstAt = startAt + minuteMs;
  const plan = planDueTicks(everyMinute, firstAt, firstAt + lateMs, { ...usual, ...policy });
  return plan.ticks.map(({ outcome }) => outcome[0]).join("");
}

test("a tick that is found in time fires, whatever the policy", () => {
  expect(outcomes(0)).toBe("f");
  expect(outcomes(minuteMs)).toBe("ff");
  expect(outcomes(minuteMs - 1, { graceMs: 30_000 })).toBe("m");
  expect(outcomes(5 * minuteMs, { graceMs: 5 * minuteMs })).toBe("ffffff");
});

test("late ticks are missed, all but those that the policy catches up on", () => {
  const late = 5 * minuteMs + 45_000;
  const graceMs = 30_000;
  expect(outcomes(late, { graceMs })).toBe("mmmmmm");
  expect(outcomes(late, { graceMs, catchUp: 1 })).toBe("mmmmmf");
  expect(outcomes(late, { graceMs, catchUp: 3 })).toBe("mmmfff");
  expect(outcomes(late, { graceMs, catchUp: 100 })).toBe("ffffff");
  // What is in time counts among the latest.
  expect(outcomes(late, { graceMs: minuteMs, catchUp: 1 })).toBe("mmmmmf");
});

test("a paused schedule fires nothing", () => {
  expect(outcomes(3 * minuteMs, { catchUp: 100, isPaused: true })).toBe("mmmm");
});

test("plan after plan deals with every tick of a window once, and catches up on the latest", () => {
  const expressions = fc.constantFrom("* * * * *", "*/7 * * * *", "30 */2 * * *", "*/20 * * * * *");
  fc.assert(
    fc.property(
      expressions,
      fc.nat(4 * 3_600_000),
      fc.nat(100),
      fc.nat(10 * minuteMs),
      (cron, lateMs, catchUp, graceMs) => {
        const times = parseCron(cron, "Europe/Berlin");
        const firstAt = times.after(startAt) ?? 0;
        const nowMs = firstAt + lateMs;
        const expected: number[] = [];
        for (let at: number | null = firstAt; at !== null && at <= nowMs; at = times.after(at)) {
          expected.push(at);
        }
        const seen: TickPlan["ticks"][number][] = [];
        let plan: TickPlan = { ticks: [], nextAt: firstAt, isComplete: false };
        while (!plan.isComplete) {
          plan = planDueTicks(times, plan.nextAt, nowMs, { catchUp, graceMs, isPaused: false });
          expect(plan.ticks.length).toBeGreaterThan(0);
          seen.push(...plan.ticks);
        }
        expect(seen.map(({ fireAt }) => fireAt)).toEqual(expected);
        expect(plan.nextAt).toBe(times.after(nowMs));
        const inTime = expected.filter((at) => at >= nowMs - graceMs).length;
        const fired = seen.filter(({ outcome }) => outcome === "fired");
        const count = Math.min(expected.length, Math.max(inTime, catchUp));
        expect(fired.map(({ fireAt }) => fireAt)).toEqual(
          count === 0 ? [] : expected.slice(-count),
        );
      },
    ),
    { numRuns: 40 },
  );
});

test("a schedule without a tick left plans nothing", () => {
  const plan = planDueTicks(everyMinute, null, startAt, usual);
  expect(plan).toEqual({ ticks: [], nextAt: null, isComplete: true });
});

const input = z.object({ n: z.number() });
const job = defineJob("report", { input, run: async () => {} });

function define(options: Partial<ScheduleOptions<typeof input>>) {
  return () => defineSchedule("nightly", { cron: "0 2 * * *", job, input: { n: 1 }, ...options });
}

test.for([
  [{ cron: "0 25 * * *" }, /^Schedule nightly: "0 25 \* \* \*" is not a cron expression/],
  [{ timeZone: "Berlin" }, /^Schedule nightly: "Berlin" is not a time zone/],
  [{ cron: "0 0 30 2 *" }, /^Schedule nightly: "0 0 30 2 \*" never ticks/],
  [{ catchUp: { atMost: 0 } }, /^Schedule nightly: catchUp.atMost must be .* not 0/],
  [{ catchUp: { atMost: 101 } }, /from 1 to 100/],
  [{ grace: -1 }, /-1 is not a duration/],
] as const)("what cannot be kept is refused where it is written: %j", ([options, message]) => {
  expect(define(options)).toThrow(RangeError);
  expect(define(options)).toThrow(message);
});

test("input that its job would refuse is refused where it is written", () => {
  const broken = define({ input: JSON.parse('{"n":"one"}') });
  expect(broken).toThrow(TypeError);
  expect(broken).toThrow(/^Schedule nightly: input does not satisfy the schema of job report: n: /);
});

test("an expression whose last year is over is no reason not to start", () => {
  expect(define({ cron: "0 0 0 1 1 * 2020" })().times.after(startAt)).toBeNull();
});
