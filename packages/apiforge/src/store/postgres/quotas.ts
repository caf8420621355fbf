import type { Lease, LeaseAsk, QuotaStore } from "../limit-contract.ts";
import { command } from "./command.ts";
import type { Row } from "../contract.ts";
import { now } from "./job-statements.ts";
import type { ConnectionPool } from "./pool.ts";

// Arrays come out of unnest in their order, which is that in which the rows are locked.
const leaseText = `select ask.place, lease.* from unnest($1::bigint[], $2::text[], $3::text[],
     $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[],
     $10::bigint[], $11::bigint[])
   as ask (place, policy, subject, most, needed, ahead, tail_ms, slot_ms, period, back_end, back_count)
   cross join lateral forge_lease(ask.policy, ask.subject, ask.most, ask.needed, ask.ahead,
     ask.tail_ms, ask.slot_ms, ask.period, ask.back_end, ask.back_count) lease`;
const sweepText = `delete from forge_quotas where (policy, subject) in (
     select policy, subject from forge_quotas where expires_at <= ${now}
     limit $1 for update skip locked)`;

/** Limits and quotas in blocks, by the clock of the server. */
export class QuotaTable implements QuotaStore {
  readonly #pool: ConnectionPool;

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  async lease(asks: readonly LeaseAsk[]): Promise<readonly Lease[]> {
    // Nodes that lock in one order never wait for each other in a circle.
    const sorted = asks.map((ask, place) => ({ ...ask, place })).toSorted(byRow);
    const [result] = await this.#pool.run("lease quotas", [
      command(
        leaseText,
        sorted.map(({ place }) => place),
        sorted.map(({ policy }) => policy),
        sorted.map(({ subject }) => subject),
        sorted.map(({ limit }) => limit),
        sorted.map(({ needed }) => needed),
        sorted.map(({ ahead }) => ahead),
        sorted.map(({ span }) => ("period" in span ? 0 : span.windowMs)),
        sorted.map(({ span }) => ("period" in span ? null : span.slotMs)),
        sorted.map(({ span }) => ("period" in span ? span.period : null)),
        sorted.map(({ back }) => back?.endsAt ?? null),
        sorted.map(({ back }) => back?.count ?? null),
      ),
    ]);
    const leases: Lease[] = [];
    for (const row of result?.rows ?? []) leases[Number(row["place"])] = toLease(row);
    return leases;
  }

  async sweep(limit: number): Promise<number> {
    const [swept] = await this.#pool.run("sweep quotas", [command(sweepText, limit)]);
    return swept?.changes ?? 0;
  }
}

function byRow(one: LeaseAsk, other: LeaseAsk): number {
  return compare(one.policy, other.policy) || compare(one.subject, other.subject);
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function toLease(row: Row): Lease {
  const nowAt = Number(row["now_at"]);
  const endsAt = Number(row["ends_at"]);
  return {
    granted: Number(row["granted"]),
    endsAt,
    usableMs: endsAt - nowAt,
    remaining: Number(row["remaining"]),
    resetInMs: Number(row["more_at"]) - nowAt,
  };
}
