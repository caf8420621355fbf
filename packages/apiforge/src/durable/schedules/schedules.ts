import { newId, type Clock } from "../../kernel/index.ts";
import type { Store, TickRecord } from "../../store/index.ts";
import { durableError } from "../errors.ts";
import { createTransaction, type EnqueuedJob } from "../transaction.ts";
import type { ScheduleDefinition } from "./definition.ts";
import type { ScheduleTurns } from "./turn.ts";

/** Ticks that {@link Schedules.ticks} answers when it is not told. */
const usualTicks = 100;

/** A schedule as an operator sees it. */
export interface ScheduleInfo {
  readonly name: string;
  /** The expression and zone in force. */
  readonly cron: string;
  readonly timeZone: string;
  readonly job: string;
  readonly isPaused: boolean;
  /** The next tick, epoch milliseconds; null when there is none, or no process has begun to fire it. */
  readonly nextAt: number | null;
}

/** Schedules, as an operator handles them. A name that is not declared is refused with `schedule_unknown`. */
export interface Schedules {
  /** Every declared schedule, by name. */
  list(): Promise<readonly ScheduleInfo[]>;
  /** Recorded ticks, latest first, 100 unless told; they are kept for a week unless the core was told otherwise. */
  ticks(name: string, options?: { readonly limit?: number }): Promise<readonly TickRecord[]>;
  /** Stops firing, on all nodes and across restarts. Ticks are recorded as missed meanwhile. */
  pause(name: string): Promise<void>;
  /** Fires again from the next tick on; what was missed stays missed. */
  resume(name: string): Promise<void>;
  /** Enqueues the job once now, paused or not; `fireAt` of its tick is this moment, which is not recorded. */
  trigger(name: string): Promise<EnqueuedJob>;
}

/** What the surface is made of. */
export interface SchedulesParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly turns: ScheduleTurns;
  readonly definitions: ReadonlyMap<string, ScheduleDefinition>;
  /** Called after a commit that added a job. */
  readonly onCommit: () => void;
}

/** The operator's side of the schedules that `parts` declares. */
export function createSchedules(parts: SchedulesParts): Schedules {
  const { store, turns, definitions } = parts;
  return {
    async list() {
      const saved = new Map((await store.schedules.list()).map((state) => [state.name, state]));
      return [...definitions.values()]
        .map((definition) => toInfo(definition, saved.get(definition.name)))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    ticks: async (name, { limit = usualTicks } = {}) =>
      store.schedules.ticks(known(definitions, name).name, limit),
    pause: async (name) => turns.setPaused(known(definitions, name), true),
    resume: async (name) => turns.setPaused(known(definitions, name), false),
    trigger: async (name) => trigger(parts, known(definitions, name)),
  };
}

async function trigger(
  { store, clock, onCommit }: SchedulesParts,
  definition: ScheduleDefinition,
): Promise<EnqueuedJob> {
  const { name, tenant } = definition;
  const nowMs = clock.now();
  const { value } = await store.transact(`trigger ${name}`, (tx) => {
    const transaction = createTransaction(tx, { tenant, requestId: newId("req") }, nowMs);
    return definition.enqueue(transaction, { schedule: name, fireAt: nowMs });
  });
  onCommit();
  return value;
}

function toInfo(
  { name, times, jobName }: ScheduleDefinition,
  saved: Omit<ScheduleInfo, "job"> | undefined,
): ScheduleInfo {
  const { cron, timeZone, isPaused, nextAt } = saved ?? {
    cron: times.cron,
    timeZone: times.timeZone,
    isPaused: false,
    nextAt: null,
  };
  return { name, cron, timeZone, job: jobName, isPaused, nextAt };
}

function known(
  definitions: ReadonlyMap<string, ScheduleDefinition>,
  name: string,
): ScheduleDefinition {
  const definition = definitions.get(name);
  if (definition !== undefined) return definition;
  throw durableError("schedule_unknown", `No schedule ${name} is declared in this process.`);
}
