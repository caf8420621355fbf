import { setTimeout as delay } from "node:timers/promises";
import { recordingLog, startRedis, until, type RedisServer } from "@apiforge/testing";
import { afterAll, beforeAll, expect, test } from "vitest";

import { LeaseDesk } from "../../src/edge/limits/lease-desk.ts";
import { LeasedCounter } from "../../src/edge/limits/leased-counter.ts";
import { limitPolicy } from "../../src/edge/limits/policy.ts";
import { silentLog, systemClock } from "../../src/kernel/index.ts";
import type { Lease, LeaseAsk, QuotaStore, Store } from "../../src/store/index.ts";
import { openRedisQuotas, type RedisQuotas } from "../../src/store/redis/index.ts";
import { openSqliteStore } from "../../src/store/sqlite/store.ts";
import { announcedSeed, seededRandom } from "../crash/seeded-random.ts";

let redis: RedisServer;
beforeAll(async () => {
  // A kill loses nothing that was written either way, and a busy disk may take longer than a command may.
  redis = await startRedis({ appendfsync: "everysec" });
});
afterAll(() => redis.stop());

/** A store of its own whose calls are counted: Redis runs in real time, so all of it does. */
class Shared implements QuotaStore {
  readonly store: Store;
  readonly subject: string;
  readonly nodes: RedisQuotas[] = [];
  calls = 0;
  /** Asks that gave something. */
  answered = 0;
  static #subjects = 0;

  constructor(store: Store) {
    this.store = store;
    this.subject = `subject-${Shared.#subjects++}`;
  }

  async lease(asks: readonly LeaseAsk[]): Promise<readonly Lease[]> {
    this.calls++;
    const leases = await this.store.quotas.lease(asks);
    this.answered += granting(leases);
    return leases;
  }

  sweep(limit: number) {
    return this.store.quotas.sweep(limit);
  }

  async node(log = silentLog): Promise<RedisQuotas> {
    const node = await openRedisQuotas({ url: redis.url, store: this, log });
    this.nodes.push(node);
    await until("Redis is there", () => node.isReady);
    // It takes from no pool before it knows the time of the store.
    await node.lease([this.ask({ needed: 0 })]);
    return node;
  }

  ask(differences: Partial<LeaseAsk> = {}): LeaseAsk {
    const { subject } = this;
    const span = { period: "month" } as const;
    return { policy: "p", subject, limit: 1_000, span, needed: 1, ahead: 0, ...differences };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) await node.close();
    await this.store.close();
  }
}

async function shared(): Promise<Shared> {
  const options = { path: ":memory:", migrations: [], transactionLimitMs: 5_000, log: silentLog };
  return new Shared(await openSqliteStore(options));
}

/** One is needed and ten are wanted ahead; thirty more are pooled. */
async function fill(of: Shared, node: RedisQuotas): Promise<number> {
  const [lease] = await node.lease([of.ask({ ahead: 10 })]);
  return lease?.granted ?? 0;
}

test("what one node leases ahead another takes without the store", async () => {
  await using of = await shared();
  const [one, other] = [await of.node(), await of.node()];
  expect(await fill(of, one)).toBe(11);
  const calls = of.calls;
  expect(await other.lease([of.ask({ needed: 20 })])).toMatchObject([{ granted: 20 }]);
  expect(of.calls).toBe(calls);
  expect(await other.lease([of.ask({ needed: 20 })])).toMatchObject([{ granted: 20 }]);
  expect(of.calls).toBe(calls + 1);
});

test("what is pooled is given back by a stop", async () => {
  await using of = await shared();
  const node = await of.node();
  const granted = await fill(of, node);
  expect(await of.lease([of.ask({ needed: 0 })])).toMatchObject([{ remaining: 1_000 - 41 }]);
  await node.close();
  expect(await of.lease([of.ask({ needed: 0 })])).toMatchObject([{ remaining: 1_000 - granted }]);
});

test("a Redis that was started again has nothing to give: what it remembers may have been taken", async () => {
  await using of = await shared();
  const [one, other] = [await of.node(), await of.node()];
  await fill(of, one);
  await redis.kill();
  await until("nobody is connected", () => !one.isReady && !other.isReady);
  await redis.restart();
  await until("everybody is connected", () => one.isReady && other.isReady);
  const calls = of.calls;
  expect(await other.lease([of.ask({ needed: 2 })])).toMatchObject([{ granted: 2 }]);
  expect(of.calls).toBe(calls + 1);
  await one.close();
  // The pool counts as used.
  expect(await of.lease([of.ask({ needed: 0 })])).toMatchObject([{ remaining: 1_000 - 41 - 2 }]);
});

test("while Redis is away the store is asked, and the log says so once", async () => {
  await using of = await shared();
  const log = recordingLog();
  const node = await of.node(log);
  await redis.kill();
  await until("it is away", () => !node.isReady);
  for (let n = 0; n < 5; n++) {
    expect(await node.lease([of.ask()])).toMatchObject([{ granted: 1 }]);
  }
  await redis.restart();
  await until("it is back", () => node.isReady);
  expect(log.entries.filter(({ level }) => level === "warn")).toHaveLength(1);
});

test("two nodes never pass a limit together, while Redis is killed and started again", async () => {
  await using of = await shared();
  const random = seededRandom(announcedSeed("redis limits"));
  const limit = 200;
  const windowMs = 1_000;
  const policy = limitPolicy({ name: "sliding", limit, per: windowMs }, "address");
  const counters: LeasedCounter[] = [];
  let answered = 0;
  for (let n = 0; n < 2; n++) {
    const node = await of.node();
    const desk = new LeaseDesk({
      async lease(asks) {
        const leases = await node.lease(asks);
        answered += granting(leases);
        return leases;
      },
    });
    counters.push(new LeasedCounter(policy, desk, systemClock, elapsed));
  }
  // Of the asks that gave something those which no store answered.
  const answeredBefore = of.answered;
  const pooled = (): number => answered - (of.answered - answeredBefore);
  const admitted: number[] = [];
  const over = new AbortController();
  /** A process that is stopped, or has too much to do: now and then for longer than a block may be used. */
  const stall = (): void => {
    if (random() > 0.002) return;
    const untilMs = elapsed() + 150 * random();
    while (elapsed() < untilMs);
  };
  const load = counters.flatMap((counter) =>
    Array.from({ length: 4 }, async () => {
      while (!over.signal.aborted) {
        const at = await admit(counter, of.subject, stall);
        if (at !== undefined) admitted.push(at);
        await delay(random() * 4);
      }
    }),
  );
  try {
    await until("something came out of a pool", () => pooled() > 0);
    for (let kill = 0; kill < 3; kill++) {
      await delay(600 * random() + 300);
      await redis.kill();
      const before = admitted.length;
      await until("somebody is admitted while Redis is away", () => admitted.length > before);
      await delay(1_200);
      await redis.restart();
    }
    await delay(1_500);
  } finally {
    over.abort();
    await Promise.all(load);
    for (const counter of counters) await counter.close();
  }
  admitted.sort((one, other) => one - other);
  let first = 0;
  for (const [last, at] of admitted.entries()) {
    while (at - (admitted[first] ?? at) >= windowMs) first++;
    expect(last - first + 1).toBeLessThanOrEqual(limit);
  }
}, 60_000);

function elapsed(): number {
  return performance.now();
}

function granting(leases: readonly Lease[]): number {
  return leases.filter(({ granted }) => granted > 0).length;
}

/**
 * Answers when it was admitted: the instant that was decided by. When a process with more to do than
 * it can do comes to write it down is later, and says nothing about the limit.
 */
async function admit(
  counter: LeasedCounter,
  subject: string,
  stall: () => void,
): Promise<number | undefined> {
  try {
    for (;;) {
      const wait = counter.prepare(subject, elapsed());
      if (wait === undefined) break;
      await wait;
    }
  } catch (error) {
    // A machine that is slower than a block lasts admits nobody.
    expect(error).toMatchObject({ code: "limits_unavailable" });
    return undefined;
  }
  stall();
  const now = elapsed();
  stall();
  if (counter.look(subject, now).remaining < 1) return undefined;
  counter.take(subject, now);
  stall();
  return now;
}
