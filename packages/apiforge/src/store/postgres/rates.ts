import type { RateReservation, RateStore } from "../batch-contract.ts";
import { command } from "./command.ts";
import type { ConnectionPool } from "./pool.ts";

const insertText =
  "insert into forge_rates (name, next_at) values ($1, 0) on conflict (name) do nothing";
// The row is locked before the time is taken, so slots are given out in the order of the locks.
const reserveText = `with locked as materialized (
     select next_at from forge_rates where name = $1 for update
   ), slots as materialized (
     select clock.at, greatest(locked.next_at, clock.at) as first_at
     from locked cross join lateral (select forge_now() as at, locked.next_at) clock
   ), granted as materialized (
     select at, first_at, case when first_at > at + $4 then 0
       else least($2::integer, floor((at + $4 - first_at) / $3)::integer + 1) end as slots
     from slots
   )
   update forge_rates set next_at = case when granted.slots > 0
       then granted.first_at + granted.slots * $3 else forge_rates.next_at end
   from granted where name = $1
   returning granted.slots, granted.first_at - granted.at as first_in_ms`;

/** Rates that all nodes share. */
export class RateTable implements RateStore {
  readonly #pool: ConnectionPool;

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  async reserve(
    name: string,
    wanted: number,
    spacingMs: number,
    withinMs: number,
  ): Promise<RateReservation> {
    const [, reserved] = await this.#pool.run("reserve slots", [
      command(insertText, name),
      command(reserveText, name, wanted, spacingMs, withinMs),
    ]);
    const [row] = reserved?.rows ?? [];
    return { granted: Number(row?.["slots"] ?? 0), firstInMs: Number(row?.["first_in_ms"] ?? 0) };
  }
}
