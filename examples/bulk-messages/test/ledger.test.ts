import { setImmediate } from "node:timers/promises";
import { storeNames } from "@apiforge/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { beginSend, endUnsent, recordSent, settleSend } from "../src/sends-table.ts";
import { monthOf } from "../src/spend-table.ts";
import { ledgerStore } from "./ledger-store.ts";

const nowMs = Date.UTC(2026, 10, 21);
const month = monthOf(nowMs);

interface Spend {
  readonly reserved: number;
  readonly spent: number;
  readonly alerted: number;
}

describe.for(storeNames)("the ledger, %s", (name) => {
  const store = ledgerStore(name);
  let tenants = 0;

  /** A tenant of its own, so that one store serves all tests. */
  function account(capMicros: number) {
    const tenant = `ten_${++tenants}`;
    return {
      tenant,
      begin: (key: string, mostMicros: number) =>
        store.commit((tx) =>
          beginSend(tx, {
            key: `${tenant}:${key}`,
            tenant,
            batchId: tenant,
            to: "+15551230001",
            mostMicros,
            capMicros,
            nowMs,
          }),
        ),
      sent: (key: string) =>
        store.commit((tx) => recordSent(tx, `${tenant}:${key}`, `SM${tenant}${key}`, nowMs)),
      unsent: (key: string) => store.commit((tx) => endUnsent(tx, `${tenant}:${key}`)),
      settle: (key: string, micros?: number) =>
        store.commit((tx) => settleSend(tx, `${tenant}:${key}`, micros)),
      async spend(): Promise<Spend> {
        const [row] = await store.read(
          (reader) => reader.sql<Spend>`
            select reserved_micros as reserved, spent_micros as spent, alerted_percent as alerted
            from message_spend where tenant = ${tenant} and month = ${month}`,
        );
        return row ?? { reserved: 0, spent: 0, alerted: 0 };
      },
      async alerts(): Promise<readonly number[]> {
        const rows = await store.read(
          (reader) => reader.sql<{ data: string }>`
            select data from forge_events where type = 'message-spend.alert' order by seq`,
        );
        return rows
          .map(({ data }) => JSON.parse(data) as { tenant: string; percent: number })
          .filter((alert) => alert.tenant === tenant)
          .map(({ percent }) => percent);
      },
    };
  }

  test("grants to the micro what the cap allows, with many at once", async () => {
    const { begin, spend } = account(1_000);
    const outcomes = await Promise.all(Array.from({ length: 60 }, (_, n) => begin(String(n), 30)));
    expect(outcomes.filter(({ kind }) => kind === "begun")).toHaveLength(33);
    expect(outcomes.filter(({ kind }) => kind === "over_cap")).toHaveLength(27);
    expect(await spend()).toMatchObject({ reserved: 990, spent: 0 });
  });

  test("alerts at 50, 80 and 100 percent, each once", async () => {
    const { begin, alerts } = account(1_000);
    for (let n = 0; n < 12; n++) await begin(String(n), 100);
    expect(await alerts()).toEqual([50, 80, 100]);
    const sudden = account(1_000);
    await Promise.all(Array.from({ length: 4 }, (_, n) => sudden.begin(String(n), 900)));
    expect(await sudden.alerts()).toEqual([80, 100]);
  });

  test("a cap of nothing refuses the first message, and says so", async () => {
    const { begin, alerts, spend } = account(0);
    expect(await begin("1", 1)).toEqual({ kind: "over_cap" });
    expect(await alerts()).toEqual([100]);
    expect(await spend()).toMatchObject({ reserved: 0, spent: 0 });
  });

  test("counts a message once, however often it begins, is settled or is given up", async () => {
    const { begin, sent, settle, unsent, spend } = account(1_000);
    expect(await begin("1", 100)).toEqual({ kind: "begun" });
    expect(await begin("1", 100)).toEqual({ kind: "unconfirmed", begunAt: nowMs });
    expect(await spend()).toMatchObject({ reserved: 100, spent: 0 });
    await sent("1");
    expect(await begin("1", 100)).toMatchObject({ kind: "sent" });
    await settle("1", 70);
    await settle("1", 70);
    await unsent("1");
    expect(await spend()).toMatchObject({ reserved: 0, spent: 70 });
    expect(await begin("2", 930)).toEqual({ kind: "begun" });
    expect(await begin("3", 1)).toEqual({ kind: "over_cap" });
    await unsent("2");
    await unsent("2");
    expect(await spend()).toMatchObject({ reserved: 0, spent: 70 });
  });

  test("a price that is never told counts as what was reserved", async () => {
    const { begin, sent, settle, spend } = account(1_000);
    await begin("1", 100);
    await sent("1");
    await settle("1");
    expect(await spend()).toMatchObject({ reserved: 0, spent: 100 });
  });

  test("months are apart", async () => {
    expect(monthOf(Date.UTC(2026, 11, 31, 23, 59, 59, 999))).toBe("2026-12");
    expect(monthOf(Date.UTC(2027, 0, 1))).toBe("2027-01");
  });

  test("never goes above the cap, whatever happens at once", async () => {
    const step = fc.record({
      most: fc.integer({ min: 1, max: 400 }),
      // What becomes of it: still on its way, charged at some share, given up.
      end: fc.constantFrom("none", "settled", "unsent"),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      pause: fc.nat({ max: 3 }),
    });
    const lanes = fc.array(fc.array(step, { maxLength: 6 }), { minLength: 2, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 1_500 }), lanes, async (cap, work) => {
        const ledger = account(cap);
        let reserved = 0;
        let spent = 0;
        await Promise.all(
          work.map(async (steps, lane) => {
            for (const [index, { most, end, share, pause }] of steps.entries()) {
              const key = `${lane}.${index}`;
              for (let turn = 0; turn < pause; turn++) await setImmediate();
              const { kind } = await ledger.begin(key, most);
              const seen = await ledger.spend();
              expect(seen.reserved + seen.spent).toBeLessThanOrEqual(cap);
              if (kind !== "begun") continue;
              if (end === "unsent") {
                await ledger.unsent(key);
              } else if (end === "settled") {
                const micros = Math.floor(most * share);
                await ledger.sent(key);
                await ledger.settle(key, micros);
                spent += micros;
              } else {
                reserved += most;
              }
            }
          }),
        );
        expect(await ledger.spend()).toMatchObject({ reserved, spent });
      }),
      { numRuns: 40 },
    );
  });
});
