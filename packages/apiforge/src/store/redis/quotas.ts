import type { Redis } from "ioredis";

import { systemClock, type Clock, type Log, type Timer } from "../../kernel/index.ts";
import type { Lease, LeaseAsk, QuotaStore } from "../limit-contract.ts";
import { connectRedis } from "./driver.ts";
import { keyOf, Pools, type Tokens } from "./pools.ts";

/** Of what a node wants ahead, so much more is leased for all nodes and pooled. */
const poolFactor = 4;
/** What nobody takes out of a pool is given back to the store after this, or after its run. */
const pooledMs = 5_000;
/** A node that has not asked the store for this long asks it again: no two clocks go equally fast. */
const longestReadMs = 10_000;

/** How {@link openRedisQuotas} is set up. */
export interface RedisQuotasOptions {
  /** `redis://…` or `rediss://…`. */
  readonly url: string;
  /** What all of it is leased from. */
  readonly store: QuotaStore;
  readonly log: Log;
  readonly clock?: Clock;
}

/** {@link QuotaStore} with pools in Redis before it. */
export interface RedisQuotas extends QuotaStore {
  /** True while Redis is used. */
  readonly isReady: boolean;
  /** Gives back what is pooled, and disconnects. */
  close(): Promise<void>;
}

/** What this node has put into a pool and sees to. */
interface Pooled {
  readonly ask: LeaseAsk;
  readonly endsAt: number;
  readonly timer: Timer;
}

/** What the clock of the store showed, and our clocks then or earlier. */
interface StoreTime {
  readonly at: number;
  readonly ours: OwnTime;
}

interface OwnTime {
  readonly at: number;
  readonly elapsedMs: number;
}

/**
 * Pools of leased tokens that all nodes take from in Redis, so that busy subjects seldom need the
 * store. The store stays the only authority and its clock the only one: what Redis loses counts as
 * used, and while it is away nodes lease from the store. So it holds nothing that is missed.
 * @throws {store_misconfigured} when `ioredis` is not installed.
 */
export async function openRedisQuotas(options: RedisQuotasOptions): Promise<RedisQuotas> {
  return new PooledQuotas(await connectRedis(options.url), options);
}

class PooledQuotas implements RedisQuotas {
  readonly #redis: Redis;
  readonly #pools: Pools;
  readonly #store: QuotaStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #pooled = new Map<string, Pooled>();
  #storeTime: StoreTime | undefined;
  #isAway = false;
  #isClosed = false;

  constructor(redis: Redis, { store, log, clock = systemClock }: RedisQuotasOptions) {
    this.#redis = redis;
    this.#pools = new Pools(redis);
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    redis.on("ready", () => {
      if (this.#isAway) log.info({}, "Redis is back");
      this.#isAway = false;
    });
    redis.on("close", () => this.#leave("the connection was closed"));
    // Each try to connect again ends here; without a listener it would end the process.
    redis.on("error", ({ message }) => this.#leave(message));
  }

  get isReady(): boolean {
    return this.#redis.status === "ready";
  }

  async lease(asks: readonly LeaseAsk[]): Promise<readonly Lease[]> {
    const isPooling = this.isReady;
    const answers = await Promise.all(asks.map((ask) => this.#take(ask)));
    const rest = [...answers.keys()].filter((place) => answers[place] === undefined);
    const given = await this.#leaseFromStore(
      rest.flatMap((place) => asks[place] ?? []),
      isPooling,
    );
    for (const [index, place] of rest.entries()) answers[place] = given[index];
    return answers.map((lease) => {
      if (lease === undefined) throw new TypeError("A lease was not answered");
      return lease;
    });
  }

  sweep(limit: number): Promise<number> {
    return this.#store.sweep(limit);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#pooled].map(([key, pooled]) => this.#reclaim(key, pooled)));
    this.#redis.disconnect();
  }

  #leave(reason: string): void {
    if (!this.#isAway && !this.#isClosed) {
      this.#log.warn({ reason }, "Redis is away; limits come from the store");
    }
    this.#isAway = true;
  }

  async #take(ask: LeaseAsk): Promise<Lease | undefined> {
    const storeAt = this.#storeAt();
    if (!this.isReady || storeAt === undefined) return undefined;
    if (ask.needed === 0 || ask.back !== undefined) return undefined;
    try {
      return await this.#pools.take(ask, storeAt);
    } catch {
      return undefined;
    }
  }

  /** Leases more than is asked for and pools that, where `isPooling`. */
  async #leaseFromStore(asks: readonly LeaseAsk[], isPooling: boolean): Promise<readonly Lease[]> {
    if (asks.length === 0) return [];
    const wider = (ask: LeaseAsk): LeaseAsk => ({ ...ask, ahead: ask.ahead * poolFactor });
    const asked = this.#now();
    const leases = await this.#store.lease(isPooling ? asks.map(wider) : asks);
    return Promise.all(
      leases.map(async (lease, place) => {
        this.#readTime(lease, asked);
        const ask = asks[place];
        const count = ask === undefined ? 0 : lease.granted - ask.needed - ask.ahead;
        if (ask === undefined || count <= 0) return lease;
        await this.#pool(ask, count, lease);
        return {
          ...lease,
          granted: lease.granted - count,
          remaining: lease.remaining + count,
        };
      }),
    );
  }

  async #pool(ask: LeaseAsk, count: number, lease: Lease): Promise<void> {
    const { endsAt, usableMs } = lease;
    try {
      const rest = await this.#pools.put(ask, count, lease);
      if (rest?.endsAt !== endsAt) {
        this.#reclaimLater(ask, endsAt, Math.min(usableMs, pooledMs));
      }
      await this.#giveBack(ask, rest);
    } catch {
      // What may be pooled counts as used.
    }
  }

  #reclaimLater(ask: LeaseAsk, endsAt: number, afterMs: number): void {
    const key = keyOf(ask);
    this.#pooled.get(key)?.timer.cancel();
    const timer = this.#clock.after(afterMs, () => {
      void this.#reclaim(key, { ask, endsAt, timer });
    });
    this.#pooled.set(key, { ask, endsAt, timer });
  }

  async #reclaim(key: string, { ask, endsAt, timer }: Pooled): Promise<void> {
    timer.cancel();
    this.#pooled.delete(key);
    try {
      await this.#giveBack(ask, await this.#pools.reclaim(ask, endsAt));
    } catch {
      // It counts as used.
    }
  }

  async #giveBack(ask: LeaseAsk, back: Tokens | undefined): Promise<void> {
    if (back === undefined) return;
    const { policy, subject, limit, span } = ask;
    await this.#store.lease([{ policy, subject, limit, span, needed: 0, ahead: 0, back }]);
  }

  /** The latest that the clock of the store can show now; undefined when it was not read lately. */
  #storeAt(): number | undefined {
    if (this.#storeTime === undefined) return undefined;
    const { at, ours } = this.#storeTime;
    const now = this.#now();
    // One of ours stands still while the machine sleeps, the other may be set back.
    const sinceMs = Math.max(now.elapsedMs - ours.elapsedMs, now.at - ours.at);
    return sinceMs > longestReadMs ? undefined : at + sinceMs;
  }

  #readTime({ endsAt, usableMs }: Lease, asked: OwnTime): void {
    this.#storeTime = { at: endsAt - usableMs, ours: asked };
  }

  #now(): OwnTime {
    const at = this.#clock.now();
    return { at, elapsedMs: this.#clock.elapsed?.() ?? at };
  }
}
