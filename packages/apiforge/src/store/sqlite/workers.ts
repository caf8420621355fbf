import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type { SqliteConnection } from "./connection.ts";
import type { SettlementTable } from "./settlements.ts";

/** Which processes live. On SQLite there is one: whoever else is listed is dead. */
export class WorkerTable {
  readonly #clock: Clock;
  readonly #settlements: SettlementTable;
  readonly #removeOthers: StatementSync;
  readonly #removeExpired: StatementSync;
  readonly #save: StatementSync;
  readonly #beat: StatementSync;
  readonly #remove: StatementSync;

  constructor(connection: SqliteConnection, settlements: SettlementTable, clock: Clock) {
    this.#clock = clock;
    this.#settlements = settlements;
    this.#removeOthers = connection.prepare("delete from forge_workers where owner <> ?");
    this.#removeExpired = connection.prepare("delete from forge_workers where heartbeat_at < ?");
    this.#save = connection.prepare(
      "insert or replace into forge_workers (owner, heartbeat_at) values (?, ?)",
    );
    this.#beat = connection.prepare("update forge_workers set heartbeat_at = ? where owner = ?");
    this.#remove = connection.prepare("delete from forge_workers where owner = ?");
  }

  /** Lists `owner` and recovers at once what a process before it left running. */
  register(owner: string): void {
    this.#removeOthers.run(owner);
    this.#save.run(owner, this.#clock.now());
    this.#settlements.recoverOrphans();
  }

  heartbeat(owner: string): boolean {
    return this.#beat.run(this.#clock.now(), owner).changes === 1;
  }

  unregister(owner: string): void {
    this.#remove.run(owner);
    this.#settlements.recover(owner);
  }

  /** Also takes what an owner claimed after it was declared dead, should it have died then. */
  recoverExpired(expiryMs: number): number {
    this.#removeExpired.run(this.#clock.now() - expiryMs);
    return this.#settlements.recoverOrphans();
  }
}
