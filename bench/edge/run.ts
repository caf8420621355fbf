import { parseArgs } from "node:util";
import { failures, runGetLoad, type LoadResult } from "../measure/load.ts";
import { describeMachine } from "../measure/machine.ts";
import { writeResult } from "../measure/results.ts";
import { median } from "../measure/statistics.ts";
import { markdownTable, milliseconds, perSecond } from "../measure/table.ts";
import { describeVersions } from "../measure/versions.ts";
import { productOf } from "./product.ts";
import { measureStages, stageTable } from "./stage-costs.ts";
import { startTarget, type EdgeTarget } from "./target-process.ts";

/** Bare Fastify is the measure, node:http the floor of ours; the others do the work of an API. */
const reference = "fastify-bare";
const floor = "node-http";
const names = [reference, floor, "apiforge", "fastify-assembled", "hono", "nest", "express"];
const serverCore = 0;
const loadCore = 1;

const { values: settings } = parseArgs({
  options: {
    targets: { type: "string", default: names.join(",") },
    connections: { type: "string", default: "64" },
    seconds: { type: "string", default: "5" },
    "warm-up-seconds": { type: "string", default: "2" },
    rounds: { type: "string", default: "3" },
    stages: { type: "boolean", default: false },
  },
});

interface EdgeRun extends LoadResult {
  readonly target: string;
  readonly round: number;
  readonly cpuUsPerRequest: number;
  readonly residentBytes: number;
}

const chosen = settings.targets.split(",");
const rounds = Number(settings.rounds);
const runs: EdgeRun[] = [];
const facts = {
  settings,
  machine: describeMachine(),
  versions: describeVersions(["fastify", "hono", "@hono/node-server", "@nestjs/core", "express"]),
};
if (settings.stages) {
  const costs = await measureStages({ rounds, core: serverCore, load });
  console.log(`${stageTable(costs)}\n\n${writeResult("edge-stages", { ...facts, runs: costs })}`);
} else {
  for (let round = 1; round <= rounds; round++) {
    for (const name of chosen) {
      const run = await measure(name, round);
      runs.push(run);
      console.error(`round ${round} ${name}: ${perSecond(run.requestsPerSecond)}/s`);
    }
  }
  console.log(`${table()}\n\nRaw results: ${writeResult("edge", { ...facts, runs })}`);
}

async function measure(name: string, round: number): Promise<EdgeRun> {
  const target = await startTarget(name, serverCore);
  try {
    await requireWork(name, target);
    await load(target, Number(settings["warm-up-seconds"]));
    const before = target.usage();
    const result = await load(target);
    const after = target.usage();
    if (failures(result) > 0) throw new Error(`${name}: ${failures(result)} requests failed.`);
    return {
      target: name,
      round,
      ...result,
      cpuUsPerRequest: ((after.cpuMs - before.cpuMs) * 1_000) / result.requests,
      residentBytes: after.residentBytes,
    };
  } finally {
    await target.stop();
  }
}

function load(
  { url, headers }: EdgeTarget,
  seconds = Number(settings.seconds),
): Promise<LoadResult> {
  const connections = Number(settings.connections);
  return runGetLoad({ url: urlOf(url), headers, connections, seconds, core: loadCore });
}

function urlOf(origin: string): string {
  return `${origin}/products/42?detail=full`;
}

/** Throws unless the target answers what all answer and, apart from the bare ones, refuses what all refuse. */
async function requireWork(name: string, { url, headers }: EdgeTarget): Promise<void> {
  const answer = await fetch(urlOf(url), { headers });
  const body: unknown = await answer.json();
  if (answer.status !== 200 || JSON.stringify(body) !== JSON.stringify(productOf("42", "full"))) {
    throw new Error(`${name} answers ${answer.status} ${JSON.stringify(body)}`);
  }
  if (name === reference || name === floor) return;
  const refusals = [
    await fetch(urlOf(url)),
    await fetch(urlOf(url), { headers: { Authorization: "Bearer a.b.c" } }),
    await fetch(`${url}/products/42?detail=other`, { headers }),
  ];
  if (refusals.some(({ status }) => status < 400)) {
    throw new Error(`${name} lets pass: ${refusals.map(({ status }) => status).join(", ")}`);
  }
  if (answer.headers.get("access-control-allow-origin") !== headers["Origin"]) {
    throw new Error(`${name} does not let its origin read`);
  }
}

function table(): string {
  const bare = rate(reference);
  const rows = chosen.map((name) => {
    const own = runs.filter(({ target }) => target === name);
    const of = (value: (run: EdgeRun) => number): number => median(own.map(value));
    return [
      name,
      `${perSecond(rate(name))} (${(rate(name) / bare).toFixed(2)}x)`,
      milliseconds(of(({ p50Us }) => p50Us)),
      milliseconds(of(({ p99Us }) => p99Us)),
      of(({ cpuUsPerRequest }) => cpuUsPerRequest).toFixed(1),
      String(Math.round(of(({ residentBytes }) => residentBytes) / 1_048_576)),
    ];
  });
  return markdownTable(["target", "req/s", "p50 ms", "p99 ms", "CPU us/req", "RSS MB"], rows);
}

function rate(name: string): number {
  return median(runs.filter(({ target }) => target === name).map((run) => run.requestsPerSecond));
}
