import type { Committed, StoreTransaction } from "../contract.ts";
import { storeError } from "../errors.ts";
import type { EventLog } from "./events.ts";
import { Groups } from "./groups.ts";
import { Labels } from "./labels.ts";
import { LoneUnits } from "./lone-units.ts";
import type { ConnectionPool, PoolOptions } from "./pool.ts";
import type { TenantGuard } from "./tenant-guard.ts";

/** When units share transactions. */
export interface Grouping {
  /** Quick runs in a row after which the units of a label may join groups. Default 16. */
  readonly quickAfter?: number;
  /** Quick units at work at once from which on they share transactions: fewer are faster side by side. Default 8. */
  readonly fewestUnits?: number;
}

/** What a writer works by. */
export interface WriterOptions extends PoolOptions {
  readonly grouping?: Grouping;
  readonly guard: TenantGuard | undefined;
}

/**
 * One transaction per unit of work, or one for several that are known to be quick. It begins with
 * the first thing that is asked, in the same round trip; what was put into the commit is written
 * together with COMMIT, in another.
 */
export class UnitWriter {
  readonly #labels: Labels;
  readonly #lone: LoneUnits;
  readonly #groups: Groups;

  #closed = false;

  constructor(
    pool: ConnectionPool,
    log: EventLog,
    { clock, transactionLimitMs, guard, grouping = {} }: WriterOptions,
  ) {
    const { quickAfter = 16, fewestUnits = 8 } = grouping;
    const labels = new Labels(quickAfter);
    const lone = new LoneUnits({ pool, log, labels, clock, guard });
    this.#labels = labels;
    this.#lone = lone;
    this.#groups = new Groups({
      ...{ pool, log, labels, lone, clock, guard },
      ...{ transactionLimitMs, fewestUnits },
    });
  }

  /** Runs `work` in a transaction; resolves when its commit is on disk. */
  run<T>(label: string, work: (tx: StoreTransaction) => Promise<T>): Promise<Committed<T>> {
    if (this.#closed) {
      return Promise.reject(storeError("store_unavailable", "The server is shutting down."));
    }
    return this.#labels.isQuick(label)
      ? this.#groups.run(label, work)
      : this.#lone.run(label, work);
  }

  /** Transactions that were committed, and units in them. */
  get work(): { readonly commits: number; readonly units: number } {
    const alone = this.#lone.commits;
    const { commits, units } = this.#groups.work;
    return { commits: alone + commits, units: alone + units };
  }

  /** Refuses what is new; resolves when the groups have ended. */
  close(): Promise<void> {
    this.#closed = true;
    return this.#groups.drain();
  }
}
