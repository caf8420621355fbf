import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type { SqliteConnection } from "./connection.ts";
import type { JobTable } from "./jobs.ts";

/** Which processes live. On SQLite there is one: whoever else is listed is dead. */
export class WorkerTable {
  readonly #clock: Clock;
  readonly #jobs: JobTable;
  readonly #others: StatementSync;
  readonly #expired: StatementSync;
  readonly #save: StatementSync;
  readonly #beat: StatementSync;
  readonly #remove: StatementSync;

  constructor(connection: SqliteConnection, jobs: JobTable, clock: Clock) {
    this.#clock = clock;
    this.#jobs = jobs;
    this.#others = connection.prepare("select owner from forge_workers where owner <> ?");
    this.#expired = connection.prepare("select owner from forge_workers where heartbeat_at < ?");
    this.#save = connection.prepare(
      "insert or replace into forge_workers (owner, heartbeat_at) values (?, ?)",
    );
    this.#beat = connection.prepare("update forge_workers set heartbeat_at = ? where owner = ?");
    this.#remove = connection.prepare("delete from forge_workers where owner = ?");
  }

  /** Lists `owner` and recovers at once what a process before it left running. */
  register(owner: string): void {
    this.#recover(this.#others, owner);
    this.#save.run(owner, this.#clock.now());
  }

  heartbeat(owner: string): boolean {
    return this.#beat.run(this.#clock.now(), owner).changes === 1;
  }

  unregister(owner: string): number {
    this.#remove.run(owner);
    return this.#jobs.recover(owner);
  }

  recoverExpired(expiryMs: number): number {
    return this.#recover(this.#expired, this.#clock.now() - expiryMs);
  }

  #recover(owners: StatementSync, argument: string | number): number {
    let recovered = 0;
    for (const { owner } of owners.all(argument)) recovered += this.unregister(String(owner));
    return recovered;
  }
}
