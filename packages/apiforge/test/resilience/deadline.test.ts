import { describe, expect, test } from "vitest";
import { startDeadline } from "../../src/resilience/index.ts";
import { manualClock } from "./manual-clock.ts";

describe("a deadline", () => {
  test("aborts with a TimeoutError when its time is up", () => {
    const clock = manualClock();
    using deadline = startDeadline(clock, 1_000);
    expect(deadline.signal.aborted).toBe(false);
    clock.expire();
    expect(deadline.signal.aborted).toBe(true);
    expect(deadline.expired).toBe(true);
    expect(deadline.signal.reason).toMatchObject({ name: "TimeoutError" });
  });

  test("passes its parent's abort on, with the parent's reason, and is then not expired", () => {
    const clock = manualClock();
    const parent = new AbortController();
    using deadline = startDeadline(clock, 1_000, parent.signal);
    const reason = new Error("lease lost");
    parent.abort(reason);
    clock.expire();
    expect(deadline.signal.reason).toBe(reason);
    expect(deadline.expired).toBe(false);
  });

  test("starts aborted under a parent that is", () => {
    using deadline = startDeadline(manualClock(), 1_000, AbortSignal.abort("stopped"));
    expect(deadline.signal.reason).toBe("stopped");
  });

  test("leaves no timer and no hold on its parent once disposed", () => {
    const clock = manualClock();
    const parent = new AbortController();
    const deadline = startDeadline(clock, 1_000, parent.signal);
    deadline[Symbol.dispose]();
    expect(clock.pending).toBe(0);
    parent.abort();
    expect(deadline.signal.aborted).toBe(false);
  });
});
