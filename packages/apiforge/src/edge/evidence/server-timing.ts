import type { Exchange } from "../exchange.ts";
import type { Outgoing } from "../outgoing.ts";
import type { StageTable } from "../route-stages.ts";
import { stageOrder, type Enter, type Stage, type StageName } from "../stage.ts";
import type { Stopwatch } from "./observe.ts";

/** Milliseconds that a request spent in the stages of each place. */
export type StageTimings = Map<StageName, number>;

/**
 * `table` with a `Server-Timing` header (w3.org/TR/server-timing) on the answers of callers who are
 * known: the names of places and nothing of what is behind them. Streams have it with their head.
 */
export function withServerTiming(table: StageTable, stopwatch: Stopwatch): StageTable {
  const timed: Partial<Record<StageName, readonly Stage[]>> = {};
  for (const place of stageOrder) {
    timed[place] = (table[place] ?? []).map((stage) => timedStage(place, stage, stopwatch));
  }
  timed.guard = [() => ({ leave: tellTimings }), ...(timed.guard ?? [])];
  return timed;
}

function timedStage(place: StageName, stage: Stage, stopwatch: Stopwatch): Stage {
  return function timedOn(route) {
    const steps = stage(route);
    const { enter } = steps ?? {};
    return enter === undefined ? steps : { ...steps, enter: timedEnter(place, enter, stopwatch) };
  };
}

function timedEnter(place: StageName, enter: Enter, stopwatch: Stopwatch): Enter {
  return function enterTimed(exchange) {
    const beganMs = stopwatch();
    const note = (): void => {
      exchange.timings ??= new Map();
      const { timings } = exchange;
      timings.set(place, (timings.get(place) ?? 0) + stopwatch() - beganMs);
    };
    let wait: void | Promise<void>;
    try {
      wait = enter(exchange);
    } catch (error) {
      note();
      throw error;
    }
    if (wait === undefined) return note();
    return wait.finally(note);
  };
}

function tellTimings(exchange: Exchange, _answer: Outgoing): void {
  const { principal, timings } = exchange;
  if (principal === undefined || timings === undefined) return;
  const entries = [...timings].map(([place, ms]) => `${place};dur=${ms.toFixed(3)}`);
  exchange.setHeader("server-timing", entries.join(", "));
}
