import { failures } from "../measure/load.ts";
import { median } from "../measure/statistics.ts";
import { markdownTable, milliseconds, perSecond } from "../measure/table.ts";
import type { TargetRun } from "./measure-target.ts";
import { peerName, peerNames } from "./targets/index.ts";
import type { Target } from "./targets/target.ts";

type Describable = Pick<Target, "name" | "description">;

/** A number that is compared, and which direction is good. */
interface Metric {
  readonly name: string;
  readonly better: "higher" | "lower";
  readonly of: (run: TargetRun) => number;
  readonly show: (value: number) => string;
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
const cpuUsPerRequest = (run: TargetRun) =>
  ((run.serverCpuMs + run.servicesCpuMs) * 1_000) / Math.max(1, run.load.requests);

const metrics: readonly Metric[] = [
  { name: "req/s", better: "higher", of: (run) => run.load.requestsPerSecond, show: perSecond },
  { name: "p50 ms", better: "lower", of: (run) => run.load.p50Us, show: milliseconds },
  { name: "p90 ms", better: "lower", of: (run) => run.load.p90Us, show: milliseconds },
  { name: "p99 ms", better: "lower", of: (run) => run.load.p99Us, show: milliseconds },
  { name: "p99.9 ms", better: "lower", of: (run) => run.load.p999Us, show: milliseconds },
  {
    name: "server MB",
    better: "lower",
    of: (run) => run.serverResidentBytes,
    show: megabytes,
  },
  {
    name: "all MB",
    better: "lower",
    of: (run) => run.serverResidentBytes + run.servicesResidentBytes,
    show: megabytes,
  },
  {
    name: "CPU us/req",
    better: "lower",
    of: cpuUsPerRequest,
    show: (value) => value.toFixed(0),
  },
];

const jobsCompleted = (run: TargetRun) => run.effects.completedJobs;
const jobsAccepted = (run: TargetRun) => run.effects.jobs;

/** Only where workers ran: a queue that is not drained is not sustained. */
const backlog: Metric = {
  name: "backlog",
  better: "lower",
  of: (run) => jobsAccepted(run) - jobsCompleted(run),
  show: (value) => value.toLocaleString("en-US"),
};

/** Medians over the rounds with their ratio to the peer, one row for each load and target. */
export function summaryTable(runs: readonly TargetRun[]): string {
  const head = [
    "connections, target",
    ...metrics.map((metric) => metric.name),
    "min..max req/s",
    "jobs completed",
    "backlog",
    "failed",
    "missing",
  ];
  return markdownTable(
    head,
    [...byLoad(runs)].flatMap(([connections, ofLoad]) =>
      [...byTarget(ofLoad)].map(([target, rounds]) =>
        summaryRow(`${connections}, ${target}`, rounds, peerRounds(ofLoad, target)),
      ),
    ),
  );
}

/** What each of `targets` is, as a list below the table. */
export function legend(targets: readonly Describable[]): string {
  return targets.map(({ name, description }) => `- \`${name}\`: ${description}`).join("\n");
}

/** One line for each measured form of the peer, with every metric in which one of ours is worse. */
export function lossLines(runs: readonly TargetRun[]): string {
  const measured = new Set(runs.map((run) => run.target));
  const peers = peerNames.filter((name) => measured.has(name));
  const ours = [...measured].filter((name) => !peerNames.includes(name));
  if (peers.length === 0 || ours.length === 0) {
    return "Where we lose: unknown, this run did not measure both ours and a peer.";
  }
  return peers.map((peer) => lossLine(runs, ours, peer)).join("\n");
}

function lossLine(runs: readonly TargetRun[], ours: readonly string[], peer: string): string {
  const losses = [...byLoad(runs)].flatMap(([connections, ofLoad]) =>
    ours.flatMap((target) => lossesOf(connections, target, ofLoad, peer)),
  );
  const summary = losses.length === 0 ? "nowhere in this run" : losses.join("; ");
  return `Where we lose to ${peer}: ${summary}.`;
}

function lossesOf(
  connections: number,
  target: string,
  ofLoad: readonly TargetRun[],
  peer: string,
): string[] {
  const ourRounds = ofLoad.filter((run) => run.target === target);
  const peerRuns = ofLoad.filter((run) => run.target === peer);
  const compared = ourRounds.some((run) => run.workers) ? [...metrics, backlog] : metrics;
  return compared
    .map((metric) => ({
      metric,
      ours: medianOf(metric, ourRounds),
      theirs: medianOf(metric, peerRuns),
    }))
    .filter(({ metric, ours, theirs }) =>
      metric.better === "higher" ? ours < theirs : ours > theirs,
    )
    .map(
      ({ metric, ours, theirs }) =>
        `${target} at ${connections} connections, ${metric.name} ${metric.show(ours)} against ${metric.show(theirs)}`,
    );
}

function summaryRow(
  name: string,
  rounds: readonly TargetRun[],
  peer: readonly TargetRun[] | undefined,
): string[] {
  const speeds = rounds.map((run) => run.load.requestsPerSecond);
  return [
    name,
    ...metrics.map((metric) => metricCell(metric, rounds, peer)),
    `${perSecond(Math.min(...speeds))}..${perSecond(Math.max(...speeds))}`,
    ...jobCells(rounds),
    String(rounds.reduce((sum, run) => sum + failures(run.load), 0)),
    String(rounds.reduce((sum, run) => sum + run.missingEffects, 0)),
  ];
}

/** Jobs completed of those accepted, warm-up included, and what was left when the load ended. */
function jobCells(rounds: readonly TargetRun[]): [completed: string, left: string] {
  if (!rounds.some((run) => run.workers)) return ["off", "off"];
  const completed = median(rounds.map(jobsCompleted)).toLocaleString("en-US");
  const accepted = median(rounds.map(jobsAccepted)).toLocaleString("en-US");
  return [`${completed} of ${accepted}`, backlog.show(medianOf(backlog, rounds))];
}

function metricCell(
  metric: Metric,
  rounds: readonly TargetRun[],
  peer: readonly TargetRun[] | undefined,
): string {
  const value = medianOf(metric, rounds);
  if (peer === undefined) return metric.show(value);
  return `${metric.show(value)} (${(value / medianOf(metric, peer)).toFixed(2)}x)`;
}

/** The peer's rounds of the same load; undefined for the peer itself and when it was not measured. */
function peerRounds(
  ofLoad: readonly TargetRun[],
  target: string,
): readonly TargetRun[] | undefined {
  const rounds = ofLoad.filter((run) => run.target === peerName);
  return target === peerName || rounds.length === 0 ? undefined : rounds;
}

function medianOf(metric: Metric, rounds: readonly TargetRun[]): number {
  return median(rounds.map(metric.of));
}

function byLoad(runs: readonly TargetRun[]): Map<number, TargetRun[]> {
  return Map.groupBy(runs, (run) => run.connections);
}

function byTarget(runs: readonly TargetRun[]): Map<string, TargetRun[]> {
  return Map.groupBy(runs, (run) => run.target);
}
