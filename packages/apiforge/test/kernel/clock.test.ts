import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { onPoint, reach, silentLog, systemClock } from "../../src/kernel/index.ts";

describe("the machine's clock", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("tells the time of the machine", () => {
    vi.setSystemTime(1_234);
    expect(systemClock.now()).toBe(1_234);
  });

  test("calls back once, after the delay", () => {
    const callback = vi.fn();
    systemClock.after(100, callback);
    vi.advanceTimersByTime(99);
    expect(callback).not.toHaveBeenCalled();
    vi.advanceTimersByTime(10_000);
    expect(callback).toHaveBeenCalledOnce();
  });

  test("does not call back when it was cancelled", () => {
    const callback = vi.fn();
    systemClock.after(100, callback).cancel();
    vi.advanceTimersByTime(10_000);
    expect(callback).not.toHaveBeenCalled();
  });

  test("takes a delay in the past for none", () => {
    const callback = vi.fn();
    systemClock.after(-5, callback);
    vi.advanceTimersByTime(0);
    expect(callback).toHaveBeenCalledOnce();
  });

  test.for([2 ** 31, 2 ** 40])("does not take %d ms for none", (delayMs) => {
    // setTimeout fires at once for what does not fit into 31 bits.
    const callback = vi.fn();
    systemClock.after(delayMs, callback);
    vi.advanceTimersByTime(86_400_000);
    expect(callback).not.toHaveBeenCalled();
  });
});

test("a pending timer of the machine's clock keeps no process alive", () => {
  const unref = vi.spyOn(Object.getPrototypeOf(setTimeout(() => {}, 0)), "unref");
  systemClock.after(60_000, () => {}).cancel();
  expect(unref).toHaveBeenCalledOnce();
});

describe("a point of the program", () => {
  afterEach(() => onPoint(undefined));

  test("is told to the listener, before the next statement", () => {
    const seen: string[] = [];
    reach("before-commit");
    onPoint((point) => seen.push(point));
    reach("before-commit");
    expect(seen).toEqual(["before-commit"]);
    onPoint(undefined);
    reach("after-commit");
    expect(seen).toHaveLength(1);
  });
});

test("the silent log takes everything and says nothing", () => {
  for (const level of ["debug", "info", "warn", "error"] as const) {
    expect(silentLog[level]({ a: 1 }, "message")).toBeUndefined();
  }
});
