/** Where a schedule stands. */
export interface ScheduleState {
  readonly name: string;
  /** The expression, and the time zone, by which `nextAt` was found. */
  readonly cron: string;
  readonly timeZone: string;
  /** The first tick that nobody has dealt with; null when none is left. */
  readonly nextAt: number | null;
  readonly isPaused: boolean;
}

/** A schedule's state, seen from the store's time. */
export interface ScheduleStatus extends ScheduleState {
  /** Milliseconds until `nextAt`, never negative; null when there is none. */
  readonly dueInMs: number | null;
}

/** What became of a tick: its job was enqueued, or it was not and is only recorded. */
export const tickOutcomes = ["fired", "missed"] as const;
export type TickOutcome = (typeof tickOutcomes)[number];

/** One tick that a commit deals with. `(schedule, fireAt)` is unique for as long as it is kept. */
export interface NewTick {
  readonly fireAt: number;
  readonly outcome: TickOutcome;
  /** The job of a fired tick; null for a missed one. */
  readonly jobId: string | null;
}

/** A tick as it was recorded. */
export interface TickRecord extends NewTick {
  readonly recordedAt: number;
}

/** A schedule that a transaction holds against every other. */
export interface LockedSchedule {
  /** Undefined until it is saved for the first time. */
  readonly state: ScheduleState | undefined;
  /** The store's time, after the lock was taken. */
  readonly nowMs: number;
  /** Fire times at or after `nextAt` that are recorded all the same: the clock was set back. */
  readonly recorded: readonly number[];
}

/** The part of a transaction that deals with ticks. */
export interface ScheduleTransaction {
  /** Locks a schedule for this transaction, and waits for another that has it. */
  lockSchedule(name: string): Promise<LockedSchedule>;
  /** Locks a saved schedule; undefined when there is none of the name, or another transaction has it. */
  tryLockSchedule(name: string): Promise<LockedSchedule | undefined>;
  /** Puts a locked schedule's new state and the ticks that led there into the commit; a tick that is recorded fails it. */
  saveSchedule(state: ScheduleState, ticks: readonly NewTick[]): Promise<void>;
}

/** Schedules outside of transactions. */
export interface ScheduleStore {
  /** Every schedule that was saved, by name. */
  list(): Promise<readonly ScheduleStatus[]>;
  /** The ticks of a schedule, latest first. */
  ticks(schedule: string, limit: number): Promise<readonly TickRecord[]>;
  /** Deletes up to `limit` ticks that were recorded more than `olderThanMs` ago; answers how many. */
  sweepTicks(olderThanMs: number, limit: number): Promise<number>;
}
