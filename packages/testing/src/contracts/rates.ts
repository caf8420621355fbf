import { expect, test } from "vitest";
import type { StoreFixture } from "./fixture.ts";

/** Registers the tests of rates that all nodes share. */
export function ratesContract(fixture: StoreFixture): void {
  test("slots are given out one after another, at once while some are free", async () => {
    await using open = await fixture.open();
    const { rates } = open.store;
    expect(await rates.reserve("a", 3, 100, 1_000)).toEqual({ granted: 3, firstInMs: 0 });
    expect(await rates.reserve("a", 2, 100, 1_000)).toEqual({ granted: 2, firstInMs: 300 });
    expect(await rates.reserve("b", 1, 100, 1_000)).toEqual({ granted: 1, firstInMs: 0 });
  });

  test("no more slots than begin within the time that is asked for", async () => {
    await using open = await fixture.open();
    const { rates } = open.store;
    expect(await rates.reserve("a", 100, 300, 1_000)).toEqual({ granted: 4, firstInMs: 0 });
    expect(await rates.reserve("a", 1, 300, 1_000)).toEqual({ granted: 0, firstInMs: 1_200 });
    await open.advance(200);
    expect(await rates.reserve("a", 100, 300, 1_000)).toEqual({ granted: 1, firstInMs: 1_000 });
  });

  test("time that passed unused is not made up for", async () => {
    await using open = await fixture.open();
    const { rates } = open.store;
    await rates.reserve("a", 2, 100, 1_000);
    await open.advance(10_000);
    expect(await rates.reserve("a", 2, 100, 1_000)).toEqual({ granted: 2, firstInMs: 0 });
    expect(await rates.reserve("a", 1, 100, 1_000)).toEqual({ granted: 1, firstInMs: 200 });
  });

  test("spacings of fractions of a millisecond add up", async () => {
    await using open = await fixture.open();
    const { rates } = open.store;
    expect(await rates.reserve("a", 3_000, 1 / 3, 5_000)).toMatchObject({ granted: 3_000 });
    const { firstInMs } = await rates.reserve("a", 1, 1 / 3, 5_000);
    expect(firstInMs).toBeCloseTo(1_000, 1);
  });

  test("callers at the same time share no slot", async () => {
    await using open = await fixture.open();
    const { rates } = open.store;
    const reserved = await Promise.all(
      Array.from({ length: 20 }, () => rates.reserve("a", 5, 10, 10_000)),
    );
    const starts = reserved.map(({ firstInMs }) => firstInMs).toSorted((a, b) => a - b);
    expect(starts).toEqual(Array.from({ length: 20 }, (_, n) => n * 50));
  });
}
