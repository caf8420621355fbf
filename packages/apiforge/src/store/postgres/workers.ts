import type { WorkerStore } from "../contract.ts";
import { command } from "./command.ts";
import { now } from "./job-statements.ts";
import { dissolveLeases } from "./packs.ts";
import type { ConnectionPool } from "./pool.ts";
import { recoverText } from "./settlements.ts";

const registerText = `insert into forge_workers (owner, heartbeat_at) values ($1, forge_now())
   on conflict (owner) do update set heartbeat_at = excluded.heartbeat_at`;
const heartbeatText = "update forge_workers set heartbeat_at = forge_now() where owner = $1";
const removeText = "delete from forge_workers where owner = $1";
const recoverOwnerText = recoverText("array[$1]");
const removeExpiredText = `delete from forge_workers where heartbeat_at < ${now} - $1::bigint`;
// Also owners who were removed before: one declared dead had a claim under way, and then died.
const recoverOrphansText = recoverText(`array(
     select lease_owner from forge_jobs where state = 2
       and not exists (select from forge_workers where owner = lease_owner))`);
const isOrphan =
  "not exists (select from forge_workers worker where worker.owner = forge_pack_leases.owner)";

/** Which processes live, by the clock of the server. */
export class WorkerTable implements WorkerStore {
  readonly #pool: ConnectionPool;

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  async register(owner: string): Promise<void> {
    await this.#pool.run("register worker", [command(registerText, owner)]);
  }

  async heartbeat(owner: string): Promise<boolean> {
    const [beat] = await this.#pool.run("heartbeat", [command(heartbeatText, owner)]);
    return beat?.changes === 1;
  }

  async unregister(owner: string): Promise<void> {
    await this.#pool.run("unregister worker", [
      command(removeText, owner),
      ...dissolveLeases("owner = $2", [owner], "leased"),
      command(recoverOwnerText, owner),
    ]);
  }

  async recoverExpired(expiryMs: number): Promise<number> {
    const results = await this.#pool.run("recover jobs", [
      command(removeExpiredText, expiryMs),
      ...dissolveLeases(isOrphan, [], "leased"),
      command(recoverOrphansText),
    ]);
    return Number(results.at(-1)?.rows[0]?.["recovered"] ?? 0);
  }
}
