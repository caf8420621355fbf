import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import {
  upstreamCallState as state,
  type UpstreamCallAsk,
  type UpstreamCallClaim,
  type UpstreamCallFilter,
  type UpstreamCallRecord,
  type UpstreamCallRef,
  type UpstreamCallSettlement,
  type UpstreamCallStanding,
  type UpstreamCallStore,
} from "../upstream-call-contract.ts";
import {
  knownClaim,
  listText,
  standingText,
  toStanding,
  toUpstreamCallRecord,
} from "../upstream-call-row.ts";
import type { SqliteConnection } from "./connection.ts";

const claimText = `
  insert into forge_upstream_calls as call
    (digest, fingerprint, idempotency_key, state, fence, until_at, created_at)
  values ($digest, $fingerprint, $key, ${state.inFlight}, 1, $until, $now)
  on conflict (digest) do update set
    state = ${state.inFlight}, fence = call.fence + 1, until_at = excluded.until_at,
    fingerprint = excluded.fingerprint,
    created_at = case when call.freed = call.fence then excluded.created_at else call.created_at end
  where (call.state = ${state.unknown} and call.freed = call.fence)
    or ($repeat = 1 and call.fingerprint = excluded.fingerprint and (call.state = ${state.unknown}
      or (call.state = ${state.inFlight} and call.until_at <= $now)))
  returning fence`;

const ofCall = `where digest = ? and fence = ? and state <> ${state.answered}`;

/** Calls of upstreams under idempotency keys. Every method runs inside a unit of work. */
export class UpstreamCallTable {
  readonly #clock: Clock;
  readonly #claim: StatementSync;
  readonly #find: StatementSync;
  readonly #renew: StatementSync;
  readonly #answer: StatementSync;
  readonly #giveUp: StatementSync;
  readonly #release: StatementSync;
  readonly #freeAgain: StatementSync;
  readonly #standing: StatementSync;
  readonly #settleAnswer: StatementSync;
  readonly #free: StatementSync;
  readonly #connection: SqliteConnection;
  readonly #sweep: StatementSync;

  constructor(connection: SqliteConnection, clock: Clock) {
    this.#clock = clock;
    this.#connection = connection;
    // Nobody else has the data, so whatever was in flight was the process before this one's.
    connection.database.exec(
      `update forge_upstream_calls set state = ${state.unknown} where state = ${state.inFlight}`,
    );
    this.#claim = connection.prepare(claimText);
    this.#find = connection.prepare("select * from forge_upstream_calls where digest = ?");
    this.#renew = connection.prepare(
      `update forge_upstream_calls set until_at = ? where digest = ? and fence = ?`,
    );
    this.#answer = connection.prepare(
      `update forge_upstream_calls set state = ${state.answered}, status = ?, fields = ?, body = ? ${ofCall}`,
    );
    this.#giveUp = connection.prepare(
      `update forge_upstream_calls set state = ${state.unknown} ${ofCall}`,
    );
    this.#release = connection.prepare(`delete from forge_upstream_calls ${ofCall} and fence = 1`);
    this.#freeAgain = connection.prepare(
      `update forge_upstream_calls set state = ${state.unknown}, freed = fence
       ${ofCall} and freed = fence - 1`,
    );
    this.#standing = connection.prepare(
      `select ${standingText("?")} as standing from forge_upstream_calls where digest = ?`,
    );
    this.#settleAnswer = connection.prepare(
      `update forge_upstream_calls set state = ${state.answered}, status = ?, fields = ?, body = ?
       where digest = ?`,
    );
    this.#free = connection.prepare(
      `update forge_upstream_calls set state = ${state.unknown}, freed = fence where digest = ?`,
    );
    this.#sweep = connection.prepare(
      `delete from forge_upstream_calls where digest in
         (select digest from forge_upstream_calls where created_at < ? order by created_at limit ?)`,
    );
  }

  claim({ digest, fingerprint, key, leaseMs, mayRepeat }: UpstreamCallAsk): UpstreamCallClaim {
    const now = this.#clock.now();
    const claimed = this.#claim.get({
      $digest: digest,
      $fingerprint: fingerprint,
      $key: key,
      $until: now + leaseMs,
      $now: now,
      $repeat: mayRepeat ? 1 : 0,
    });
    if (claimed !== undefined) return { outcome: "claimed", fence: Number(claimed["fence"]) };
    return knownClaim(this.#find.get(digest) ?? {}, now);
  }

  renew(calls: readonly UpstreamCallRef[], leaseMs: number): void {
    const untilAt = this.#clock.now() + leaseMs;
    for (const { digest, fence } of calls) this.#renew.run(untilAt, digest, fence);
  }

  answer(
    { digest, fence }: UpstreamCallRef,
    { status, fields, body }: Parameters<UpstreamCallStore["answer"]>[1],
  ): void {
    this.#answer.run(status, JSON.stringify(fields), body, digest, fence);
  }

  giveUp({ digest, fence }: UpstreamCallRef): void {
    this.#giveUp.run(digest, fence);
  }

  release(call: UpstreamCallRef): void {
    if (this.#release.run(call.digest, call.fence).changes > 0) return;
    if (this.#freeAgain.run(call.digest, call.fence).changes === 0) this.giveUp(call);
  }

  list(filter: UpstreamCallFilter): readonly UpstreamCallRecord[] {
    const text = listText(String(this.#clock.now()), filter);
    return this.#connection.query(text, [], undefined).rows.map(toUpstreamCallRecord);
  }

  settle(digest: Uint8Array, settlement: UpstreamCallSettlement): UpstreamCallStanding | undefined {
    const row = this.#standing.get(this.#clock.now(), digest);
    if (row === undefined) return undefined;
    const standing = toStanding(row);
    if (standing !== "unknown") return standing;
    if (settlement.found === "nothing_done") this.#free.run(digest);
    else {
      const { status, fields, body } = settlement.answer;
      this.#settleAnswer.run(status, JSON.stringify(fields), body, digest);
    }
    return standing;
  }

  sweep(olderThanMs: number, limit: number): number {
    return Number(this.#sweep.run(this.#clock.now() - olderThanMs, limit).changes);
  }
}

/** `table` as a store has it, each call in a unit of its own. */
export function upstreamCallStore(
  table: UpstreamCallTable,
  unit: <T>(label: string, call: () => T) => Promise<T>,
): UpstreamCallStore {
  return {
    claim: (ask) => unit("claim upstream call", () => table.claim(ask)),
    renew: (calls, leaseMs) => unit("renew upstream calls", () => table.renew(calls, leaseMs)),
    answer: (call, answer) => unit("answer upstream call", () => table.answer(call, answer)),
    giveUp: (call) => unit("give up upstream call", () => table.giveUp(call)),
    release: (call) => unit("release upstream call", () => table.release(call)),
    list: (filter) => unit("list upstream calls", () => table.list(filter)),
    settle: (digest, settlement) =>
      unit("settle upstream call", () => table.settle(digest, settlement)),
    sweep: (olderThanMs, limit) =>
      unit("sweep upstream calls", () => table.sweep(olderThanMs, limit)),
  };
}
