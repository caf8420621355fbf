import { median, percentile } from "../measure/statistics.ts";
import { markdownTable, milliseconds, perSecond } from "../measure/table.ts";
import type { Answer } from "./measurement.ts";
import type { JobTarget } from "./targets.ts";

/** One answer with what was asked. */
export interface JobRun extends Answer {
  readonly target: string;
  readonly question: string;
  readonly concurrency: number;
  readonly round: number;
}

/** Medians over the rounds, a row for each target; `x` compares ours with the best peer of the column. */
export function jobTable(runs: readonly JobRun[], targets: readonly JobTarget[]): string {
  const columns = [...new Set(runs.map(columnOf))];
  const rows = targets.map(({ name }) => [
    name,
    ...columns.map((column) => cell(runs, name, column)),
  ]);
  return markdownTable(["target", ...columns], rows);
}

function columnOf({ question, concurrency }: JobRun): string {
  if (question === "throughput") return `jobs/s, c=${concurrency}`;
  return question === "waiting" ? "jobs/s, many waiting" : "commit to start p50 / p99 ms";
}

function cell(runs: readonly JobRun[], target: string, column: string): string {
  const own = runs.filter((run) => run.target === target && columnOf(run) === column);
  if (own.length === 0) return "";
  const delays = own.flatMap((run) => run.startDelaysUs);
  if (delays.length > 0)
    return `${milliseconds(median(delays))} / ${milliseconds(percentile(delays, 99))}`;
  const rate = speed(own);
  const best = bestPeer(runs, column);
  const isOurs = target.startsWith("apiforge");
  const ratio = isOurs && best > 0 ? ` (${(rate / best).toFixed(2)}x)` : "";
  return `${perSecond(rate)}${ratio}`;
}

function bestPeer(runs: readonly JobRun[], column: string): number {
  const peers = runs.filter(
    (run) => columnOf(run) === column && !run.target.startsWith("apiforge"),
  );
  const rates = [...Map.groupBy(peers, (run) => run.target).values()].map(speed);
  return rates.length === 0 ? 0 : Math.max(...rates);
}

function speed(runs: readonly JobRun[]): number {
  return median(runs.map((run) => run.jobsPerSecond));
}
