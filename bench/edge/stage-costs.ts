import type { LoadResult } from "../measure/load.ts";
import { median } from "../measure/statistics.ts";
import { markdownTable } from "../measure/table.ts";
import { startTarget, type EdgeTarget } from "./target-process.ts";

/** Stages that our target can do without, one at a time. */
const stages = [
  "authenticate",
  "limit",
  "cors",
  "validate",
  "allow-list",
  "metrics",
  "access-log",
] as const;
const nothing = "nothing";

/** What the server spent on a request, with one stage left out. */
interface StageRun {
  readonly without: string;
  readonly round: number;
  readonly cpuUsPerRequest: number;
}

/** How stages are measured. */
export interface StageMeasurement {
  readonly rounds: number;
  readonly core: number;
  readonly load: (target: EdgeTarget, seconds?: number) => Promise<LoadResult>;
}

const warmUpSeconds = 2;

/** Measures our target whole and without each of its stages, in turn, so that all have the same hour. */
export async function measureStages(how: StageMeasurement): Promise<readonly StageRun[]> {
  const runs: StageRun[] = [];
  for (let round = 1; round <= how.rounds; round++) {
    for (const without of [nothing, ...stages]) {
      const target = await startTarget("apiforge-stages", how.core, without);
      try {
        await how.load(target, warmUpSeconds);
        const before = target.usage();
        const { requests } = await how.load(target);
        const cpuMs = target.usage().cpuMs - before.cpuMs;
        runs.push({ without, round, cpuUsPerRequest: (cpuMs * 1_000) / requests });
      } finally {
        await target.stop();
      }
    }
  }
  return runs;
}

/** A stage costs what the server saves without it. */
export function stageTable(runs: readonly StageRun[]): string {
  const of = (without: string): number =>
    median(runs.filter((run) => run.without === without).map((run) => run.cpuUsPerRequest));
  const whole = of(nothing);
  const rows = stages.map((stage) => [stage, (whole - of(stage)).toFixed(1)]);
  return markdownTable(
    ["stage", "CPU us/req"],
    [...rows, ["all of it, Node.js and Fastify included", whole.toFixed(1)]],
  );
}
