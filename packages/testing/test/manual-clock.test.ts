import { describe, expect, test } from "vitest";
import { ManualClock, turns, until } from "../src/index.ts";

describe("a manual clock", () => {
  test("stands still until it is moved", () => {
    const clock = new ManualClock(1_000);
    expect(clock.now()).toBe(1_000);
    clock.advance(5);
    expect(clock.now()).toBe(1_005);
    clock.advance(-2_000);
    expect(clock.now()).toBe(-995);
  });

  test("runs what becomes due, each at its own instant and in order", () => {
    const clock = new ManualClock(0);
    const ran: string[] = [];
    const run = (name: string) => () => void ran.push(`${name} at ${clock.now()}`);
    clock.after(30, run("late"));
    clock.after(10, run("first"));
    clock.after(10, run("second"));
    clock.after(31, run("not yet"));
    clock.advance(9);
    expect(ran).toEqual([]);
    clock.advance(21);
    expect(ran).toEqual(["first at 10", "second at 10", "late at 30"]);
    expect(clock.pending).toBe(1);
  });

  test("runs timers that were set on the way, when they are due on the way", () => {
    const clock = new ManualClock(0);
    const ran: number[] = [];
    function again(): void {
      ran.push(clock.now());
      clock.after(10, again);
    }
    clock.after(10, again);
    clock.advance(35);
    expect(ran).toEqual([10, 20, 30]);
    expect(clock.now()).toBe(35);
  });

  test("forgets what was cancelled, also by another timer of the same instant", () => {
    const clock = new ManualClock(0);
    const ran: string[] = [];
    clock.after(10, () => {
      ran.push("first");
      second.cancel();
    });
    const second = clock.after(10, () => void ran.push("second"));
    clock.advance(100);
    expect(ran).toEqual(["first"]);
    expect(clock.pending).toBe(0);
  });

  test("takes a delay in the past for none", () => {
    const clock = new ManualClock(0);
    let ran = false;
    clock.after(-5, () => (ran = true));
    clock.advance(0);
    expect(ran).toBe(true);
  });
});

describe("waiting for this process", () => {
  test("ends when the condition holds", async () => {
    let asked = 0;
    await until("the third question", async () => (asked += 1) === 3);
    expect(asked).toBe(3);
  });

  test("lets so many turns of the event loop pass", async () => {
    let passed = 0;
    let isOver = false;
    (function count() {
      if (isOver) return;
      passed += 1;
      setImmediate(count);
    })();
    await turns(5);
    isOver = true;
    expect(passed).toBeGreaterThanOrEqual(5);
  });
});
