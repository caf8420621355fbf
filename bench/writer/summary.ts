import { median } from "../measure/statistics.ts";
import { markdownTable, milliseconds, perSecond } from "../measure/table.ts";
import type { WriterRun } from "./run.ts";

const head = [
  "fsync ms / variant",
  "units/s",
  "min..max",
  "p50 ms",
  "p99 ms",
  "p99.9 ms",
  "loop p50 ms",
  "loop p99 ms",
  "loop max ms",
  "units/group",
  "syncs main",
  "syncs other",
  "log MB",
  "pause max ms",
  "CPU us/unit",
];

/** The medians of the rounds, one row for each fsync time and variant, as a Markdown table. */
export function summaryTable(runs: readonly WriterRun[]): string {
  const groups = Map.groupBy(runs, (run) => `${run.fsync} ${run.variant}`);
  return markdownTable(
    head,
    [...groups].map(([name, rounds]) => summaryRow(name, rounds)),
  );
}

function summaryRow(name: string, rounds: readonly WriterRun[]): string[] {
  const middle = (pick: (run: WriterRun) => number) => median(rounds.map(pick));
  const speeds = rounds.map((run) => run.load.requestsPerSecond);
  return [
    name,
    perSecond(median(speeds)),
    `${perSecond(Math.min(...speeds))}..${perSecond(Math.max(...speeds))}`,
    milliseconds(middle((run) => run.load.p50Us)),
    milliseconds(middle((run) => run.load.p99Us)),
    milliseconds(middle((run) => run.load.p999Us)),
    middle((run) => run.server.loopDelayP50Ms).toFixed(2),
    middle((run) => run.server.loopDelayP99Ms).toFixed(2),
    Math.max(...rounds.map((run) => run.server.loopDelayMaxMs)).toFixed(1),
    middle((run) => run.server.units / Math.max(1, run.server.groups)).toFixed(1),
    String(middle((run) => run.syncs.mainThread)),
    String(middle((run) => run.syncs.otherThreads)),
    (Math.max(...rounds.map((run) => run.server.logBytes)) / 1e6).toFixed(1),
    Math.max(...rounds.map((run) => run.server.longestPauseMs)).toFixed(1),
    middle((run) => (run.cpuMs * 1_000) / run.load.requests).toFixed(1),
  ];
}
