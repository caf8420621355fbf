import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { failures, runGetLoad, type LoadResult } from "../measure/load.ts";
import { describeMachine } from "../measure/machine.ts";
import { writeResult } from "../measure/results.ts";
import { median } from "../measure/statistics.ts";
import { markdownTable, milliseconds, perSecond } from "../measure/table.ts";
import { contenders } from "./contenders.ts";
import type { Program } from "./program.ts";
import { loadCore, sharedFolder, startContender, versionsOf } from "./proxied.ts";
import { headersOf, requireBody } from "./request.ts";
import { bodies, startUpstream, type Body } from "./upstream.ts";

const { values: settings } = parseArgs({
  options: {
    targets: { type: "string", default: [...contenders.keys()].join(",") },
    bodies: { type: "string", default: bodies.map(({ name }) => name).join(",") },
    connections: { type: "string" },
    seconds: { type: "string", default: "4" },
    "warm-up-seconds": { type: "string", default: "2" },
    rounds: { type: "string", default: "3" },
  },
});

interface GatewayRun extends LoadResult {
  readonly target: string;
  readonly body: string;
  readonly round: number;
  readonly cpuUsPerRequest: number;
  readonly residentBytes: number;
}

const chosen = settings.targets.split(",");
const [reference = ""] = chosen;
const chosenBodies = bodies.filter(({ name }) => settings.bodies.split(",").includes(name));
const folder = sharedFolder(tmpdir(), "apiforge-bench-gateway");
const upstream = await startUpstream(folder, loadCore);
const runs: GatewayRun[] = [];
try {
  for (let round = 1; round <= Number(settings.rounds); round++) {
    for (const name of chosen) runs.push(...(await measure(name, round)));
  }
} finally {
  await upstream.stop();
  rmSync(folder, { recursive: true });
}
const file = writeResult("gateway", {
  settings,
  machine: describeMachine(),
  versions: versionsOf(chosen),
  runs,
});
console.log(`${chosenBodies.map(table).join("\n\n")}\n\nRaw results: ${file}`);

/** One target with all bodies, in one process: what one leaves behind, the next one feels. */
async function measure(name: string, round: number): Promise<GatewayRun[]> {
  const { target, own } = await startContender(name, upstream, folder);
  const measured: GatewayRun[] = [];
  try {
    for (const body of chosenBodies) {
      const run = { target: name, body: body.name, round, ...(await loaded(target, body, own)) };
      console.error(`round ${round} ${name}, ${body.name}: ${perSecond(run.requestsPerSecond)}/s`);
      measured.push(run);
    }
    return measured;
  } finally {
    await target.stop();
  }
}

async function loaded(target: Program, body: Body, own: string) {
  const headers = headersOf(own);
  await requireBody(target, body, headers);
  const load = {
    url: target.url + body.path,
    headers,
    connections: Number(settings.connections ?? body.connections),
    core: loadCore,
  };
  await runGetLoad({ ...load, seconds: Number(settings["warm-up-seconds"]) });
  const before = target.usage();
  const result = await runGetLoad({ ...load, seconds: Number(settings.seconds) });
  const after = target.usage();
  if (failures(result) > 0) throw new Error(`${failures(result)} requests of ${load.url} failed`);
  return {
    ...result,
    cpuUsPerRequest: ((after.cpuMs - before.cpuMs) * 1_000) / result.requests,
    residentBytes: after.residentBytes,
  };
}

function table(body: Body): string {
  const of = (name: string, value: (run: GatewayRun) => number): number =>
    median(runs.filter((run) => run.target === name && run.body === body.name).map(value));
  const rate = (name: string): number => of(name, (run) => run.requestsPerSecond);
  const rows = chosen.map((name) => [
    name,
    `${perSecond(rate(name))} (${(rate(name) / rate(reference)).toFixed(2)}x)`,
    milliseconds(of(name, ({ p50Us }) => p50Us)),
    milliseconds(of(name, ({ p99Us }) => p99Us)),
    of(name, ({ cpuUsPerRequest }) => cpuUsPerRequest).toFixed(1),
    String(Math.round(of(name, ({ residentBytes }) => residentBytes) / 1_048_576)),
  ]);
  const head = [body.name, "req/s", "p50 ms", "p99 ms", "CPU us/req", "MB"];
  return markdownTable(head, rows);
}
