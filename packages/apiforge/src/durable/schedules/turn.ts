import { newId, reach, type Clock } from "../../kernel/index.ts";
import type {
  LockedSchedule,
  NewTick,
  ScheduleState,
  Store,
  StoreTransaction,
} from "../../store/index.ts";
import { createTransaction } from "../transaction.ts";
import { parseCron, type CronTimes } from "./cron.ts";
import type { ScheduleDefinition } from "./definition.ts";
import { planDueTicks } from "./plan.ts";

/** What became of one commit for a schedule. */
export type TurnOutcome =
  /** Another node has the schedule, or nobody has saved it. */
  | { readonly outcome: "left" }
  | {
      readonly outcome: "taken";
      /** False when more is due. */
      readonly isComplete: boolean;
      /** Ticks that nobody was there for; those of a paused schedule are missed on purpose. */
      readonly missed: number;
    };

/** Deals with due ticks of schedules, a bounded number per commit. */
export class ScheduleTurns {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #onCommit: () => void;

  /** @param onCommit called after a commit that may have added jobs. */
  constructor(store: Store, clock: Clock, onCommit: () => void) {
    this.#store = store;
    this.#clock = clock;
    this.#onCommit = onCommit;
  }

  /** Fires or records what is due, in one commit. */
  async take(definition: ScheduleDefinition): Promise<TurnOutcome> {
    const label = `schedule ${definition.name}`;
    const { value } = await this.#store.transact<TurnOutcome>(label, async (tx) => {
      const locked = await tx.tryLockSchedule(definition.name);
      if (locked?.state === undefined) return { outcome: "left" };
      const turn = await this.#turn(tx, locked, locked.state, definition);
      if (turn.ticks.length > 0) await save(tx, turn.state, turn.ticks);
      const missed = turn.ticks.filter(({ outcome }) => outcome === "missed").length;
      const { isComplete } = turn;
      return { outcome: "taken", isComplete, missed: locked.state.isPaused ? 0 : missed };
    });
    this.#onCommit();
    return value;
  }

  /** Makes the definition's expression the one in force, from now on; what was due before counts by the old one. */
  declare(definition: ScheduleDefinition): Promise<void> {
    const { cron, timeZone } = definition.times;
    return this.#change(definition, (state, nowMs) =>
      state.cron === cron && state.timeZone === timeZone
        ? state
        : { ...state, cron, timeZone, nextAt: definition.times.after(nowMs) },
    );
  }

  /** Pauses or resumes, adding the schedule where nobody has. */
  setPaused(definition: ScheduleDefinition, isPaused: boolean): Promise<void> {
    return this.#change(definition, (state) =>
      state.isPaused === isPaused ? state : { ...state, isPaused },
    );
  }

  /** Saves what `change` makes of the state, once every tick that is due before it is dealt with. */
  async #change(
    definition: ScheduleDefinition,
    change: (state: ScheduleState, nowMs: number) => ScheduleState,
  ): Promise<void> {
    for (let isChanged = false; !isChanged;) {
      const { value } = await this.#store.transact(`schedule ${definition.name}`, async (tx) => {
        const locked = await tx.lockSchedule(definition.name);
        const { state, nowMs } = locked;
        if (state === undefined) {
          await save(tx, change(added(definition, nowMs), nowMs), []);
          return true;
        }
        if (change(state, nowMs) === state) return true;
        const turn = await this.#turn(tx, locked, state, definition);
        await save(tx, turn.isComplete ? change(turn.state, nowMs) : turn.state, turn.ticks);
        return turn.isComplete;
      });
      isChanged = value;
      this.#onCommit();
    }
  }

  async #turn(
    tx: StoreTransaction,
    { nowMs, recorded }: LockedSchedule,
    state: ScheduleState,
    definition: ScheduleDefinition,
  ): Promise<{ state: ScheduleState; ticks: readonly NewTick[]; isComplete: boolean }> {
    const { catchUp, graceMs } = definition;
    const policy = { catchUp, graceMs, isPaused: state.isPaused };
    const plan = planDueTicks(timesOf(state, definition), state.nextAt, nowMs, policy);
    const ticks: NewTick[] = [];
    for (const { fireAt, outcome } of plan.ticks) {
      if (recorded.includes(fireAt)) continue;
      const jobId = outcome === "fired" ? await this.#fire(tx, definition, fireAt) : null;
      ticks.push({ fireAt, outcome, jobId });
    }
    return { state: { ...state, nextAt: plan.nextAt }, ticks, isComplete: plan.isComplete };
  }

  async #fire(
    tx: StoreTransaction,
    definition: ScheduleDefinition,
    fireAt: number,
  ): Promise<string> {
    const actor = { tenant: definition.tenant, requestId: newId("req") };
    const transaction = createTransaction(tx, actor, this.#clock.now());
    const { id } = await definition.enqueue(transaction, { schedule: definition.name, fireAt });
    return id;
  }
}

async function save(
  tx: StoreTransaction,
  state: ScheduleState,
  ticks: readonly NewTick[],
): Promise<void> {
  await tx.saveSchedule(state, ticks);
  if (ticks.length > 0) reach("after-tick");
}

function added({ name, times }: ScheduleDefinition, nowMs: number): ScheduleState {
  const { cron, timeZone } = times;
  return { name, cron, timeZone, nextAt: times.after(nowMs), isPaused: false };
}

// While versions of the application run side by side, all of them follow the expression declared last.
function timesOf({ cron, timeZone }: ScheduleState, { times }: ScheduleDefinition): CronTimes {
  return cron === times.cron && timeZone === times.timeZone ? times : parseCron(cron, timeZone);
}
