import type { Redis } from "ioredis";

import type { Lease, LeaseAsk } from "../limit-contract.ts";
import { putScript, reclaimScript, takeScript } from "./scripts.ts";

/** Tokens of one run. */
export interface Tokens {
  readonly endsAt: number;
  readonly count: number;
}

/**
 * Pools of leased tokens, each of which is taken out once. All of it rejects when Redis does not
 * answer: what was on its way then counts as used, since it may have been done.
 */
export class Pools {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** At least what is needed, where the pool has it and the clock of the store shows `storeAt` at most. */
  async take(ask: LeaseAsk, storeAt: number): Promise<Lease | undefined> {
    const { needed, ahead, span } = ask;
    const [granted = 0, endsAt = 0, remaining = 0] = numbers(
      await this.#redis.eval(takeScript, 1, keyOf(ask), needed, ahead, Math.ceil(storeAt)),
    );
    if (granted === 0) return undefined;
    const usableMs = endsAt - Math.ceil(storeAt);
    const tailMs = "period" in span ? 0 : span.windowMs;
    return { granted, endsAt, usableMs, remaining, resetInMs: usableMs + tailMs };
  }

  /** Puts `count` of a lease in. Answers tokens that there is no place for, of this run or an earlier one. */
  async put(
    ask: LeaseAsk,
    count: number,
    { endsAt, usableMs, remaining }: Lease,
  ): Promise<Tokens | undefined> {
    const values = [count, endsAt, usableMs, remaining];
    const [restEndsAt = 0, rest = 0] = numbers(
      await this.#redis.eval(putScript, 1, keyOf(ask), ...values),
    );
    return rest === 0 ? undefined : { endsAt: restEndsAt, count: rest };
  }

  /** Takes all that is left of a run out. */
  async reclaim(ask: LeaseAsk, endsAt: number): Promise<Tokens | undefined> {
    const count = Number(await this.#redis.eval(reclaimScript, 1, keyOf(ask), endsAt));
    return count > 0 ? { endsAt, count } : undefined;
  }
}

/** What a subject's pool is called. */
export function keyOf({ policy, subject }: LeaseAsk): string {
  return `apiforge:limit:${policy}:${subject}`;
}

function numbers(answer: unknown): readonly number[] {
  return Array.isArray(answer) ? answer.map(Number) : [];
}
