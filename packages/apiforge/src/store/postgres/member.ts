import type { Committed, StoreTransaction } from "../contract.ts";
import type { EventLog } from "./events.ts";
import { Seat } from "./seat.ts";
import type { TenantGuard } from "./tenant-guard.ts";
import { PostgresTransaction } from "./transaction.ts";

/** One unit of work that waits for its group. */
export interface Unit {
  readonly label: string;
  readonly work: (tx: StoreTransaction) => Promise<unknown>;
  readonly resolve: (committed: Committed<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

/** How a handler ended. */
export type Ending =
  | { readonly outcome: "returned"; readonly value: unknown }
  | { readonly outcome: "threw"; readonly error: unknown };

/** A unit of work whose handler runs in a group. */
export class Member {
  readonly unit: Unit;
  readonly seat = new Seat();
  readonly tx: PostgresTransaction;
  /** Resolves when the handler ends, and never rejects. */
  readonly ending: Promise<Ending>;
  #ended: Ending | undefined;

  constructor(unit: Unit, log: EventLog, guard: TenantGuard | undefined) {
    this.unit = unit;
    this.tx = new PostgresTransaction(this.seat, log, guard);
    this.ending = this.#handle();
  }

  /** How the handler ended, once it has. */
  get ended(): Ending | undefined {
    return this.#ended;
  }

  /** True when the group can do what the unit waits for. */
  get asks(): boolean {
    return this.seat.ask !== undefined && !this.seat.leaving;
  }

  /** True when the unit has to go on alone: it does, or waits for, something that the group does not do. */
  get strays(): boolean {
    if (this.seat.leaving) return true;
    return this.seat.ask === undefined
      ? this.#ended === undefined
      : this.#ended?.outcome === "threw";
  }

  /** True when the group's transaction holds what must not be committed. */
  get spoils(): boolean {
    return this.seat.executed && (this.strays || this.#ended?.outcome === "threw");
  }

  async #handle(): Promise<Ending> {
    try {
      this.#ended = { outcome: "returned", value: await this.unit.work(this.tx) };
    } catch (error) {
      this.#ended = { outcome: "threw", error };
    }
    this.tx.end();
    return this.#ended;
  }
}
