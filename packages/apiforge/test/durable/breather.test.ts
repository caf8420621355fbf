import { setImmediate as nextTurn } from "node:timers/promises";
import { ManualClock } from "@apiforge/testing";
import { expect, test } from "vitest";
import { Breather } from "../../src/durable/batches/breather.ts";

/** A breather whose items have just used up their time. */
function usedUp() {
  const clock = new ManualClock();
  let elapsedMs = 0;
  const breather = new Breather(clock, () => elapsedMs);
  elapsedMs = 0.5;
  return { clock, breather };
}

/** Whether `pause` has resolved after a few turns of the event loop. */
async function isOver(pause: Promise<void> | undefined): Promise<boolean> {
  let over = false;
  void pause?.then(() => (over = true));
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
  return over;
}

test("items that have had less than half a millisecond go on at once", () => {
  let elapsedMs = 0;
  const breather = new Breather(new ManualClock(), () => elapsedMs);
  elapsedMs = 0.49;
  expect(breather.breathe()).toBeUndefined();
});

test("without requests items wait for a turn of the event loop, and then have time again", async () => {
  const { breather } = usedUp();
  expect(await isOver(breather.breathe())).toBe(true);
  expect(breather.breathe()).toBeUndefined();
});

test("items wait for the last of the requests under way, failed ones too", async () => {
  const { breather, clock } = usedUp();
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  void breather.before(first.promise);
  const failing = breather.before(second.promise);
  const pause = breather.breathe();
  first.resolve();
  expect(await isOver(pause)).toBe(false);
  second.reject(new Error("refused"));
  await expect(failing).rejects.toThrow("refused");
  expect(await isOver(pause)).toBe(true);
  expect(clock.pending).toBe(0);
});

test("a request without end holds items for 4 ms", async () => {
  const { breather, clock } = usedUp();
  void breather.before(Promise.withResolvers<void>().promise);
  const pause = breather.breathe();
  clock.advance(3);
  expect(await isOver(pause)).toBe(false);
  clock.advance(4);
  expect(await isOver(pause)).toBe(true);
});

test("all items share one wait", () => {
  const { breather } = usedUp();
  expect(breather.breathe()).toBe(breather.breathe());
});
