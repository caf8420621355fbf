import { failures } from "./measure/load.ts";
import { measureTarget, type TargetRun } from "./post/measure-target.ts";
import { legend, summaryTable } from "./post/summary.ts";
import { chooseTargets } from "./post/targets/index.ts";
import { measureStartup, startupTable, type StartupRun } from "./startup/measure-startup.ts";

/*
 * Shows that the benchmarks still run and that no answered request lacks a row: two seconds of
 * `post` and one start of the peer and of ours on SQLite. Its numbers mean nothing and are not kept.
 */

const targets = chooseTargets("peer,apiforge-sqlite");
const loads: TargetRun[] = [];
const starts: StartupRun[] = [];
for (const target of targets) {
  loads.push(
    await measureTarget(target, {
      connections: 8,
      seconds: 2,
      warmUpSeconds: 1,
      server: { workers: true, postgresConnections: 20 },
    }),
  );
  starts.push(await measureStartup(target, 0));
}
console.log([summaryTable(loads), legend(targets), startupTable(starts)].join("\n\n"));
const problems = loads.flatMap(problemsOf);
if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exitCode = 1;
}

function problemsOf({ target, load, effects, missingEffects }: TargetRun): string[] {
  const failed = failures(load);
  return [
    ...(missingEffects > 0 ? [`${target} lacks rows of ${missingEffects} answered requests.`] : []),
    ...(failed > 0 ? [`${target} failed ${failed} requests.`] : []),
    ...(load.requests === 0 ? [`${target} answered no request.`] : []),
    ...(effects.completedJobs === 0 ? [`${target} completed no job.`] : []),
  ];
}
