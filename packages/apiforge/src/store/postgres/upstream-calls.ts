import {
  upstreamCallState as state,
  type UpstreamAnswer,
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
import { command, type Command } from "./command.ts";
import { now } from "./job-statements.ts";
import type { ConnectionPool } from "./pool.ts";

const claimText = `
  insert into forge_upstream_calls as call
    (digest, fingerprint, idempotency_key, state, fence, until_at, created_at)
  values ($1, $2, $3, ${state.inFlight}, 1, ${now} + $4::bigint, ${now})
  on conflict (digest) do update set
    state = ${state.inFlight}, fence = call.fence + 1, until_at = excluded.until_at,
    fingerprint = excluded.fingerprint,
    created_at = case when call.freed = call.fence then excluded.created_at else call.created_at end
  where (call.state = ${state.unknown} and call.freed = call.fence)
    or ($5::boolean and call.fingerprint = excluded.fingerprint and (call.state = ${state.unknown}
      or (call.state = ${state.inFlight} and call.until_at <= ${now})))
  returning fence`;
const findText = `select *, ${now} as now_at from forge_upstream_calls where digest = $1`;
const ofCall = `where digest = $1 and fence = $2 and state <> ${state.answered}`;
// Nodes that lock in one order never wait for each other in a circle.
const renewText = `update forge_upstream_calls set until_at = ${now} + $3::bigint
  where digest in (select call.digest from forge_upstream_calls call
    join unnest($1::bytea[], $2::integer[]) as mine (digest, fence)
      on mine.digest = call.digest and mine.fence = call.fence
    order by call.digest for update of call)`;
const answerText = `update forge_upstream_calls
  set state = ${state.answered}, status = $3, fields = $4, body = $5 ${ofCall}`;
const giveUpText = `update forge_upstream_calls set state = ${state.unknown} ${ofCall}`;
const releaseText = `delete from forge_upstream_calls ${ofCall} and fence = 1`;
const freeAgainText = `update forge_upstream_calls set state = ${state.unknown}, freed = fence
  ${ofCall} and freed = fence - 1`;
const lockText = `select ${standingText(now)} as standing from forge_upstream_calls
  where digest = $1 for update`;
const settled = `where digest = $1 and ${standingText(now)} = 'unknown'`;
const settleAnswerText = `update forge_upstream_calls
  set state = ${state.answered}, status = $2, fields = $3, body = $4 ${settled}`;
const freeText = `update forge_upstream_calls set state = ${state.unknown}, freed = fence ${settled}`;
const sweepText = `delete from forge_upstream_calls where digest in (
  select digest from forge_upstream_calls where created_at < ${now} - $1::bigint
  order by created_at limit $2 for update skip locked)`;

/** Calls of upstreams under idempotency keys, by the clock of the server. */
export class UpstreamCallTable implements UpstreamCallStore {
  readonly #pool: ConnectionPool;

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  async claim(ask: UpstreamCallAsk): Promise<UpstreamCallClaim> {
    const { digest, fingerprint, key, leaseMs, mayRepeat } = ask;
    const [claimed, found] = await this.#pool.run("claim upstream call", [
      command(claimText, digest, fingerprint, key, leaseMs, mayRepeat),
      command(findText, digest),
    ]);
    const [mine] = claimed?.rows ?? [];
    if (mine !== undefined) return { outcome: "claimed", fence: Number(mine["fence"]) };
    const [row] = found?.rows ?? [];
    // Released by another node in between: it is about to be free.
    if (row === undefined) return { outcome: "in_flight", fingerprint };
    return knownClaim(row, Number(row["now_at"]));
  }

  renew(calls: readonly UpstreamCallRef[], leaseMs: number): Promise<void> {
    const digests = calls.map(({ digest }) => digest);
    const fences = calls.map(({ fence }) => fence);
    return this.#run("renew upstream calls", command(renewText, digests, fences, leaseMs));
  }

  answer({ digest, fence }: UpstreamCallRef, answer: UpstreamAnswer): Promise<void> {
    const { status, fields, body } = answer;
    const values = [status, JSON.stringify(fields), body] as const;
    return this.#run("answer upstream call", command(answerText, digest, fence, ...values));
  }

  giveUp({ digest, fence }: UpstreamCallRef): Promise<void> {
    return this.#run("give up upstream call", command(giveUpText, digest, fence));
  }

  release({ digest, fence }: UpstreamCallRef): Promise<void> {
    return this.#run(
      "release upstream call",
      command(releaseText, digest, fence),
      command(freeAgainText, digest, fence),
      command(giveUpText, digest, fence),
    );
  }

  async list(filter: UpstreamCallFilter): Promise<readonly UpstreamCallRecord[]> {
    const [listed] = await this.#pool.run("list upstream calls", [command(listText(now, filter))]);
    return (listed?.rows ?? []).map(toUpstreamCallRecord);
  }

  async settle(
    digest: Uint8Array,
    settlement: UpstreamCallSettlement,
  ): Promise<UpstreamCallStanding | undefined> {
    const [found] = await this.#pool.run("settle upstream call", [
      command(lockText, digest),
      settle(digest, settlement),
    ]);
    const [row] = found?.rows ?? [];
    return row === undefined ? undefined : toStanding(row);
  }

  async sweep(olderThanMs: number, limit: number): Promise<number> {
    const [swept] = await this.#pool.run("sweep upstream calls", [
      command(sweepText, olderThanMs, limit),
    ]);
    return swept?.changes ?? 0;
  }

  async #run(label: string, ...commands: readonly Command[]): Promise<void> {
    await this.#pool.run(label, commands);
  }
}

function settle(digest: Uint8Array, settlement: UpstreamCallSettlement): Command {
  if (settlement.found === "nothing_done") return command(freeText, digest);
  const { status, fields, body } = settlement.answer;
  return command(settleAnswerText, digest, status, JSON.stringify(fields), body);
}
