import { expect, test } from "vitest";
import type { LeaseAsk, LeaseSpan } from "apiforge/internal/store";
import type { StoreFixture } from "./fixture.ts";

const windowMs = 10_000;
const slotMs = 100;
const sliding: LeaseSpan = { windowMs, slotMs };
const hourMs = 3_600_000;

/** Asks for one of ten, with the given differences. */
function ask(differences: Partial<LeaseAsk> = {}): LeaseAsk {
  return {
    policy: "p",
    subject: "a",
    limit: 10,
    span: sliding,
    needed: 1,
    ahead: 0,
    ...differences,
  };
}

/** Registers the tests of limits and quotas that are given out in blocks. */
export function quotasContract(fixture: StoreFixture): void {
  test("what is needed is given while it is there, and of the rest a quarter ahead", async () => {
    await using open = await fixture.open();
    const { quotas } = open.store;
    const [first] = await quotas.lease([ask({ needed: 2, ahead: 100 })]);
    expect(first).toMatchObject({ granted: 4, remaining: 6 });
    const [second] = await quotas.lease([ask({ needed: 8 })]);
    expect(second).toMatchObject({ granted: 6, remaining: 0 });
    expect(await quotas.lease([ask()])).toMatchObject([{ granted: 0, remaining: 0 }]);
  });

  test("policies and subjects are counted apart, and answered in the order of the asks", async () => {
    await using open = await fixture.open();
    const { quotas } = open.store;
    const leases = await quotas.lease([
      ask({ subject: "b", needed: 3 }),
      ask({ subject: "a", needed: 2 }),
      ask({ policy: "o", subject: "b", needed: 1 }),
      ask({ subject: "b", needed: 4 }),
    ]);
    expect(leases.map(({ granted, remaining }) => [granted, remaining])).toEqual([
      [3, 7],
      [2, 8],
      [1, 9],
      [4, 3],
    ]);
  });

  test("a block may be used for one or two slots, and counts for the window after their end", async () => {
    await using open = await fixture.open();
    const { quotas } = open.store;
    const [lease] = await quotas.lease([ask({ needed: 10 })]);
    const usableMs = lease?.usableMs ?? 0;
    expect(usableMs).toBeGreaterThanOrEqual(slotMs);
    expect(usableMs).toBeLessThanOrEqual(2 * slotMs);
    await open.advance(usableMs + windowMs - 1);
    expect(await quotas.lease([ask()])).toMatchObject([{ granted: 0, resetInMs: 1 }]);
    await open.advance(1);
    expect(await quotas.lease([ask()])).toMatchObject([{ granted: 1, remaining: 9 }]);
  });

  test("what is given back is there again, and nothing that was not of that run", async () => {
    await using open = await fixture.open();
    const { quotas } = open.store;
    const [lease] = await quotas.lease([ask({ needed: 10 })]);
    const endsAt = lease?.endsAt ?? 0;
    const back = (at: number, count: number) => ask({ needed: 0, back: { endsAt: at, count } });
    expect(await quotas.lease([back(endsAt, 4)])).toMatchObject([{ granted: 0, remaining: 4 }]);
    expect(await quotas.lease([back(endsAt + slotMs, 4)])).toMatchObject([{ remaining: 4 }]);
    expect(await quotas.lease([back(endsAt, 100)])).toMatchObject([{ remaining: 10 }]);
  });

  test("a clock that goes back forgets nothing and opens nothing", async () => {
    await using open = await fixture.open();
    const { quotas } = open.store;
    await quotas.lease([ask({ needed: 10 })]);
    await open.advance(-hourMs);
    expect(await quotas.lease([ask()])).toMatchObject([{ granted: 0 }]);
    await open.advance(hourMs + windowMs + 2 * slotMs);
    expect(await quotas.lease([ask()])).toMatchObject([{ granted: 1 }]);
  });

  test.for([
    ["day", Date.UTC(2030, 0, 2)],
    ["month", Date.UTC(2030, 1, 1)],
  ] as const)("a quota of a %s ends with it, in UTC", async ([period, end]) => {
    await using open = await fixture.open();
    const { quotas } = open.store;
    const ofPeriod = (needed: number) => ask({ span: { period }, needed });
    await open.advance(Date.UTC(2030, 0, 1, 23, 30) - open.clock.now());
    const [lease] = await quotas.lease([ofPeriod(10)]);
    const usableMs = end - open.clock.now();
    expect(lease).toEqual({
      ...{ granted: 10, endsAt: end, usableMs, remaining: 0, resetInMs: usableMs },
    });
    await open.advance(usableMs - 1);
    expect(await quotas.lease([ofPeriod(1)])).toMatchObject([{ granted: 0, resetInMs: 1 }]);
    await open.advance(1);
    expect(await quotas.lease([ofPeriod(10)])).toMatchObject([{ granted: 10 }]);
  });

  test("callers at the same time are never given more than there is", async () => {
    await using open = await fixture.open();
    const { quotas } = open.store;
    const leases = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        quotas.lease([
          ask({ subject: n % 2 === 0 ? "a" : "b", needed: 3 }),
          ask({ subject: n % 2 === 0 ? "b" : "a", needed: 1 }),
        ]),
      ),
    );
    const granted = leases.flat().reduce((sum, lease) => sum + lease.granted, 0);
    expect(granted).toBe(20);
  });

  test("subjects of which nothing counts any more are swept, others not", async () => {
    await using open = await fixture.open();
    const { quotas } = open.store;
    await quotas.lease([ask({ subject: "old" })]);
    await open.advance(windowMs + 2 * slotMs);
    await quotas.lease([ask({ subject: "new" })]);
    expect(await quotas.sweep(10)).toBe(1);
    expect(await quotas.lease([ask({ subject: "new", needed: 10 })])).toMatchObject([
      { granted: 9 },
    ]);
  });

  if (!fixture.persistent) return;

  test("a killed process has given nothing back", async () => {
    await using open = await fixture.open();
    await open.store.quotas.lease([ask({ needed: 7 })]);
    await open.crash();
    expect(await open.store.quotas.lease([ask({ needed: 7 })])).toMatchObject([{ granted: 3 }]);
  });
}
