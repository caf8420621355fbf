import { recordingLog, until } from "@apiforge/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { Housekeeper, type SweptStore } from "../../src/durable/housekeeper.ts";
import type { Clock } from "../../src/kernel/index.ts";
import { storeFixtures } from "../store/fixtures.ts";
import { Harness } from "./harness.ts";

const visits = 3;

/** A clock whose waits are over at once. */
class HastyClock implements Clock {
  nowMs = 0;

  now(): number {
    return this.nowMs;
  }

  after(delayMs: number, callback: () => void) {
    const handle = setImmediate(() => {
      this.nowMs += delayMs;
      callback();
    });
    return { cancel: () => clearImmediate(handle) };
  }
}

/** A store in which `perMs` jobs end in each millisecond, and where a piece takes `pieceMs`. */
class BusyStore implements SweptStore {
  readonly #clock: HastyClock;
  readonly #retentionMs: number;
  readonly #load: { readonly perMs: number; readonly pieceMs: number };
  #swept = 0;
  #lastPiece = 0;
  /** How many jobs the last piece before each visit had. */
  readonly lastPieces: number[] = [];

  constructor(clock: HastyClock, retentionMs: number, load: { perMs: number; pieceMs: number }) {
    this.#clock = clock;
    this.#retentionMs = retentionMs;
    this.#load = load;
  }

  /** Jobs that are there longer than they should. */
  #overdue(): number {
    const ended = Math.floor(Math.max(0, this.#clock.nowMs - this.#retentionMs) * this.#load.perMs);
    return ended - this.#swept;
  }

  readonly jobs = {
    sweepEnded: async (_olderThanMs: number, limit: number): Promise<number> => {
      const swept = Math.min(this.#overdue(), limit);
      this.#swept += swept;
      this.#lastPiece = swept;
      this.#clock.nowMs += this.#load.pieceMs;
      return swept;
    },
  };

  readonly #nothing = { sweep: async () => 0, sweepTicks: async () => 0 };
  readonly idempotency = {
    sweep: async (): Promise<number> => {
      this.lastPieces.push(this.#lastPiece);
      return 0;
    },
  };
  readonly upstreamCalls = this.#nothing;
  readonly schedules = this.#nothing;
  readonly events = this.#nothing;
  readonly quotas = this.#nothing;
  readonly batches = this.#nothing;
}

test("after each visit nothing older than its retention is left, whatever the rate up to what half of the time can do", async () => {
  const retentionMs = 1_000;
  const everyMs = 5_000;
  const load = fc.record({
    pieceMs: fc.integer({ min: 20, max: 400 }),
    /** Of 500 jobs in a piece and a pause as long. */
    use: fc.double({ min: 0, max: 0.9, noNaN: true }),
  });
  await fc.assert(
    fc.asyncProperty(load, async ({ pieceMs, use }) => {
      const clock = new HastyClock();
      const perMs = (use * 500) / (2 * pieceMs);
      const store = new BusyStore(clock, retentionMs, { perMs, pieceMs });
      const retention = {
        idempotencyMs: 0,
        completedJobMs: retentionMs,
        tickMs: 0,
        eventMs: 0,
        everyMs,
      };
      const housekeeper = new Housekeeper(store, clock, recordingLog(), retention, async () => {});
      housekeeper.start();
      await until("the visits are over", () => store.lastPieces.length > visits);
      await housekeeper.stop();
      // One that was not full: nothing was left.
      expect(Math.max(...store.lastPieces)).toBeLessThan(500);
    }),
    { numRuns: 40 },
  );
});

describe.for(storeFixtures)("housekeeping on $name", (fixture) => {
  test("leaves nothing of a minute in which 12,345 answers became too old", async () => {
    await using harness = await Harness.open(fixture);
    const { store } = harness;
    const count = 12_345;
    await store.transact("fill", (tx) => tx.queryText(fill[store.dialect](count), []));
    await harness.started({});
    const left = () =>
      store.read("count", async (reader) => {
        const { rows } = await reader.queryText("select count(*) as n from forge_idempotency", []);
        return Number(rows[0]?.["n"]);
      });
    await harness.advance(60_000);
    // A piece at a time, with a pause in which others get their turn.
    for (let swept = 500; swept < count; swept += 500) {
      expect(await left()).toBe(count - swept);
      await harness.advance(1);
    }
    expect(await left()).toBe(0);
  });
});

const columns =
  "digest, fingerprint, idempotency_key, status, headers, body, seq, created_at) select";
/** SQL that inserts answers of the beginning of time. */
const fill = {
  sqlite: (count: number) => `
    with recursive each (n) as (select 1 union all select n + 1 from each where n < ${count})
    insert into forge_idempotency (${columns}
      cast(n as blob), x'00', 'key', 201, '{}', '', 0, 0 from each`,
  postgres: (count: number) => `
    insert into forge_idempotency (${columns}
      int4send(n), '', 'key', 201, '{}', '', 0, 0 from generate_series(1, ${count}) as each (n)`,
};
