import { jobStates, type ConsumerFigures, type QueueFigures, type Row } from "./contract.ts";
import { stateNumber } from "./job-row.ts";

/** Most jobs of one state that are counted, so that a backlog makes nobody wait for its figures. */
const countedJobs = 100_000;

const counted = (["scheduled", "ready", "running", "dead"] as const).map(stateNumber);

/**
 * How many jobs of a queue are in each state, and when the first of them was due, from the partial
 * indexes; keyed jobs that wait are counted in their lanes. `now` is SQL for the time.
 */
export function queueFiguresText(now: string): string {
  const states = counted.map(
    (state) => `select queue, ${state} as state, count(*) as jobs, ${now} - min(run_at) as age_ms
      from (select queue, run_at from forge_jobs where state = ${state} limit ${countedJobs}) as job
      group by queue`,
  );
  return `${states.join(" union all ")} union all
    select queue, -1, sum(waiting), null from forge_lanes group by queue having sum(waiting) > 0`;
}

/** How far each named reader of the log is. */
export const consumerFiguresText = "select name, cursor from forge_consumers";

/** A row of {@link queueFiguresText}. */
export function toQueueFigures(row: Row): QueueFigures {
  const state = jobStates.find((name) => stateNumber(name) === Number(row["state"])) ?? "ready";
  const age = row["age_ms"];
  return {
    queue: String(row["queue"]),
    state,
    jobs: Number(row["jobs"]),
    oldestMs: age === null ? null : Math.max(0, Number(age)),
  };
}

/** A row of {@link consumerFiguresText}. */
export function toConsumerFigures(row: Row): ConsumerFigures {
  return { name: String(row["name"]), cursor: Number(row["cursor"]) };
}
