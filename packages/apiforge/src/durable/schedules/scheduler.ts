import type { Clock, Log, Timer } from "../../kernel/index.ts";
import { backoffDelayMs, exponential } from "../../resilience/index.ts";
import type { ScheduleStatus, Store } from "../../store/index.ts";
import type { ScheduleDefinition } from "./definition.ts";
import type { ScheduleTurns } from "./turn.ts";

const retryPolicy = exponential("1s", { max: "1m" });

/** What a scheduler is made of. */
export interface SchedulerParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Longest wait before the store is asked again. */
  readonly pollMs: number;
  readonly random: () => number;
  readonly turns: ScheduleTurns;
  readonly definitions: readonly ScheduleDefinition[];
}

/** A schedule whose commit failed. */
interface Failed {
  readonly failures: number;
  readonly retryAt: number;
}

/**
 * Fires the ticks of schedules. Every node tries, and the lock on the schedule's row with the
 * ticks' primary key lets one of them; so a node that dies is replaced at the next look.
 */
export class Scheduler {
  readonly #parts: SchedulerParts;
  readonly #undeclared: Set<ScheduleDefinition>;
  readonly #failed = new Map<string, Failed>();
  /** Missed ticks of schedules that are not done with their backlog. */
  readonly #missed = new Map<string, number>();
  #timer: Timer | undefined;
  #loop: Promise<void> | undefined;
  #stopped = true;

  constructor(parts: SchedulerParts) {
    this.#parts = parts;
    this.#undeclared = new Set(parts.definitions);
  }

  /** Puts the definitions in force; what fails now is tried again by the loop. */
  async start(): Promise<void> {
    if (this.#parts.definitions.length === 0) return;
    this.#stopped = false;
    await this.#declareAll();
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#loop;
  }

  async #run(): Promise<void> {
    let waitMs = 0;
    while (waitMs === 0 && !this.#stopped) waitMs = await this.#pass();
    this.#loop = undefined;
    if (this.#stopped) return;
    this.#timer = this.#parts.clock.after(waitMs, () => {
      this.#loop ??= this.#run();
    });
  }

  /** Deals with what is due; answers how long nothing will be, at most one poll. */
  async #pass(): Promise<number> {
    const { store, log, pollMs } = this.#parts;
    try {
      await this.#declareAll();
      const statuses = await store.schedules.list();
      let waitMs = pollMs;
      // One after another: all at once, they would take every connection from the requests.
      for (const status of statuses) waitMs = Math.min(waitMs, await this.#look(status));
      return waitMs;
    } catch (error) {
      log.warn({ error }, "schedules could not be read; trying again");
      return pollMs;
    }
  }

  async #declareAll(): Promise<void> {
    for (const definition of this.#undeclared) {
      if (!(await this.#attempt(definition, () => this.#parts.turns.declare(definition)))) continue;
      this.#undeclared.delete(definition);
    }
  }

  /** Takes a turn for a schedule that is due; answers how long to wait for the next. */
  async #look({ name, dueInMs }: ScheduleStatus): Promise<number> {
    const { definitions, pollMs } = this.#parts;
    const definition = definitions.find((each) => each.name === name);
    if (definition === undefined || dueInMs === null || this.#stopped) return pollMs;
    if (dueInMs > 0) return dueInMs;
    let waitMs = pollMs;
    await this.#attempt(definition, async () => {
      // What another node has locked, it deals with; the next look tells.
      if (await this.#take(definition)) waitMs = 0;
    });
    return waitMs;
  }

  async #take(definition: ScheduleDefinition): Promise<boolean> {
    const { turns, log } = this.#parts;
    const { name } = definition;
    const turn = await turns.take(definition);
    if (turn.outcome === "left") return false;
    const missed = (this.#missed.get(name) ?? 0) + turn.missed;
    this.#missed.set(name, turn.isComplete ? 0 : missed);
    if (turn.isComplete && missed > 0) {
      log.warn({ schedule: name, missed }, "ticks of a schedule were missed; they are recorded");
    }
    return true;
  }

  /** Runs `work` unless its schedule waits after a failure; a failing schedule holds up no other. */
  async #attempt(definition: ScheduleDefinition, work: () => Promise<void>): Promise<boolean> {
    const { clock, log, random } = this.#parts;
    const { name } = definition;
    const failed = this.#failed.get(name);
    if (failed !== undefined && clock.now() < failed.retryAt) return false;
    try {
      await work();
      this.#failed.delete(name);
      return true;
    } catch (error) {
      const failures = (failed?.failures ?? 0) + 1;
      const delayMs = backoffDelayMs(retryPolicy, Math.min(failures, 30), random);
      this.#failed.set(name, { failures, retryAt: clock.now() + delayMs });
      log.error({ error, schedule: name, failures, delayMs }, "schedule failed; it will try again");
      return false;
    }
  }
}
