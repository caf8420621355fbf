import { setImmediate as nextTurn } from "node:timers/promises";

import type { Clock, Timer } from "../../kernel/index.ts";
import type { Committed, StoreTransaction } from "../contract.ts";
import type { EventLog } from "./events.ts";
import { unavailable } from "./failures.ts";
import { runGroup, type GroupEnd } from "./group.ts";
import type { Labels } from "./labels.ts";
import type { LoneUnits } from "./lone-units.ts";
import { Member, type Unit } from "./member.ts";
import type { ConnectionPool } from "./pool.ts";
import type { TenantGuard } from "./tenant-guard.ts";

/** Most units that share one commit. */
const groupUnits = 32;
/** Groups that run side by side: one is in the server's hands while this process is at work on another. */
const mostLanes = 3;
/** Waiting units for which another group is begun beside those that run. */
const lanesApartUnits = 16;

/** What the groups of one store are made of. */
export interface GroupParts {
  readonly pool: ConnectionPool;
  readonly log: EventLog;
  readonly labels: Labels;
  readonly lone: LoneUnits;
  readonly clock: Clock;
  readonly guard: TenantGuard | undefined;
  readonly transactionLimitMs: number;
  /** Units at work at once from which on they are grouped. */
  readonly fewestUnits: number;
}

interface WaitingUnit extends Unit {
  readonly queuedAt: number;
}

/**
 * Group commit: units that have shown to be quick wait for one another and share a transaction, so
 * that its cost is shared too. What a group cannot do for a unit, or undoes, that unit does alone.
 */
export class Groups {
  readonly #parts: GroupParts;
  readonly #queue: WaitingUnit[] = [];
  readonly #running = new Set<Promise<void>>();
  #lanes = 0;
  /** Units that are not answered yet. */
  #atWork = 0;
  #limit: Timer | undefined;
  #commits = 0;
  #units = 0;

  constructor(parts: GroupParts) {
    this.#parts = parts;
  }

  /** Runs `work`, together with others where enough are at work; resolves when its commit is on disk. */
  run<T>(label: string, work: (tx: StoreTransaction) => Promise<T>): Promise<Committed<T>> {
    this.#atWork += 1;
    // A few do best side by side: each has a connection, and none waits for another.
    const isFew = this.#atWork < this.#parts.fewestUnits;
    const committed = isFew ? this.#parts.lone.run(label, work) : this.#enqueue(label, work);
    return committed.finally(() => (this.#atWork -= 1));
  }

  /** Groups that were committed, and units in them. */
  get work(): { readonly commits: number; readonly units: number } {
    return { commits: this.#commits, units: this.#units };
  }

  /** Resolves when every unit is answered. */
  async drain(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #enqueue<T>(label: string, work: (tx: StoreTransaction) => Promise<T>): Promise<Committed<T>> {
    return new Promise<Committed<T>>((resolve, reject) => {
      const queuedAt = this.#parts.clock.now();
      // The unit's value travels through the queue untyped; `work` made it.
      const settle = resolve as Unit["resolve"];
      this.#queue.push({ label, work, resolve: settle, reject, queuedAt });
      if (this.#lanes === 0 || this.#queue.length >= this.#lanes * lanesApartUnits)
        this.#openLane();
    });
  }

  #openLane(): void {
    if (this.#lanes === mostLanes) return;
    this.#lanes += 1;
    this.#limit ??= this.#armLimit(this.#parts.transactionLimitMs);
    this.#track(this.#runLane());
  }

  async #runLane(): Promise<void> {
    // Requests that arrived in the same turn of the event loop join the first group.
    await nextTurn();
    while (this.#queue.length > 0) await this.#runTogether(this.#queue.splice(0, groupUnits));
    this.#lanes -= 1;
    if (this.#lanes > 0) return;
    this.#limit?.cancel();
    this.#limit = undefined;
  }

  async #runTogether(units: readonly Unit[]): Promise<void> {
    const members: Member[] = [];
    const labels = new Set(units.map((unit) => unit.label));
    let end: GroupEnd;
    try {
      end = await this.#parts.pool.use(
        [...labels].join(", "),
        (connection) => {
          for (const unit of units)
            members.push(new Member(unit, this.#parts.log, this.#parts.guard));
          return runGroup(connection, members);
        },
        { onCut: () => members.forEach((member) => member.tx.end()), accepted: true },
      );
    } catch (error) {
      for (const { seat } of members) seat.refuse(error);
      for (const unit of units) unit.reject(error);
      return;
    }
    const committed = [...end.fates.values()].filter(({ outcome }) => outcome === "committed");
    if (committed.length > 0) this.#commits += 1;
    this.#units += committed.length;
    this.#observe(members, end);
    this.#settle(members, end);
  }

  #observe(members: readonly Member[], { dissolved, unfit }: GroupEnd): void {
    const { labels } = this.#parts;
    // Whoever's fault it was, it shows in what follows.
    if (dissolved) for (const { unit } of members) labels.observe(unit.label, "slow");
    for (const { unit } of unfit) labels.observe(unit.label, "unfit");
  }

  #settle(members: readonly Member[], { fates }: GroupEnd): void {
    const undecided: Member[] = [];
    for (const member of members) {
      const { unit, seat, ended } = member;
      const fate = fates.get(member);
      if (fate?.outcome === "committed") unit.resolve(fate.committed);
      else if (ended?.outcome === "threw" && !seat.executed && !seat.leaving)
        unit.reject(ended.error);
      else if (fate === undefined) undecided.push(member);
      else {
        seat.refuse(fate.error);
        unit.reject(fate.error);
      }
    }
    if (undecided.length > 0) this.#track(this.#resume(undecided));
  }

  /** In the order of the group: what a unit was told may rest on what one before it did. */
  async #resume(members: readonly Member[]): Promise<void> {
    for (const member of members) {
      const { unit, ended } = member;
      const resumed = this.#parts.lone.resume(member).then(unit.resolve, unit.reject);
      this.#track(resumed);
      // Nobody waits for a handler that is still at work.
      if (ended !== undefined) await resumed;
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  /** One timer watches the queue: nearly every unit leaves it in a few milliseconds. */
  #armLimit(delayMs: number): Timer {
    const { clock, transactionLimitMs } = this.#parts;
    return clock.after(delayMs, () => {
      const oldest = clock.now() - transactionLimitMs;
      while ((this.#queue[0]?.queuedAt ?? Infinity) <= oldest) this.#refuseFirst();
      const restMs = (this.#queue[0]?.queuedAt ?? clock.now()) - oldest;
      this.#limit = this.#armLimit(restMs);
    });
  }

  #refuseFirst(): void {
    const error = new Error("No group of units took this one in time");
    this.#queue.shift()?.reject(unavailable(error));
  }
}
