import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type { RateReservation } from "../batch-contract.ts";
import type { SqliteConnection } from "./connection.ts";

/** Shared rates. Every method runs inside a unit of work. */
export class RateTable {
  readonly #clock: Clock;
  readonly #find: StatementSync;
  readonly #save: StatementSync;

  constructor(connection: SqliteConnection, clock: Clock) {
    this.#clock = clock;
    this.#find = connection.prepare("select next_at from forge_rates where name = ?");
    this.#save = connection.prepare(
      "insert into forge_rates (name, next_at) values (?, ?) on conflict (name) do update set next_at = excluded.next_at",
    );
  }

  reserve(name: string, wanted: number, spacingMs: number, withinMs: number): RateReservation {
    const nowMs = this.#clock.now();
    const nextAt = Math.max(nowMs, Number(this.#find.get(name)?.["next_at"] ?? 0));
    const granted = grantedSlots(nextAt - nowMs, wanted, spacingMs, withinMs);
    if (granted > 0) this.#save.run(name, nextAt + granted * spacingMs);
    return { granted, firstInMs: nextAt - nowMs };
  }
}

function grantedSlots(firstInMs: number, wanted: number, spacingMs: number, withinMs: number) {
  if (firstInMs > withinMs) return 0;
  return Math.min(wanted, Math.floor((withinMs - firstInMs) / spacingMs) + 1);
}
