import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";

import { failures, runGetLoad } from "../measure/load.ts";
import { describeMachine } from "../measure/machine.ts";
import { compilePacedLoad, runPacedLoad, type PacedResult } from "../measure/paced-load.ts";
import { writeResult } from "../measure/results.ts";
import { median } from "../measure/statistics.ts";
import { markdownTable, milliseconds, perSecond } from "../measure/table.ts";
import { contenders } from "./contenders.ts";
import type { Program } from "./program.ts";
import { loadCore, sharedFolder, startContender, versionsOf } from "./proxied.ts";
import { headersOf, requireBody } from "./request.ts";
import { bodies, startUpstream, type Body } from "./upstream.ts";

/*
 * What a gateway adds to a request at half of what it can serve: in each round and for each target its closed-loop
 * maximum, then half of that at a rate that does not follow the answers, and the same requests to the upstream itself.
 */

const targetConnections = 64;

const { values: settings } = parseArgs({
  options: {
    targets: { type: "string", default: [...contenders.keys()].join(",") },
    seconds: { type: "string", default: "6" },
    "warm-up-seconds": { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
  },
});
const seconds = Number(settings.seconds);
const warmUpSeconds = Number(settings["warm-up-seconds"]);

interface HalfLoadRun {
  readonly target: string;
  readonly round: number;
  readonly most: number;
  readonly through: PacedResult;
  readonly direct: PacedResult;
}

const chosen = settings.targets.split(",");
const body = smallBody();
const folder = sharedFolder(tmpdir(), "apiforge-bench-half-load");
const pacedLoad = compilePacedLoad(folder);
const upstream = await startUpstream(folder, loadCore);
const runs: HalfLoadRun[] = [];
try {
  for (let round = 1; round <= Number(settings.rounds); round++) {
    for (const name of chosen) runs.push(await measure(name, round));
  }
} finally {
  await upstream.stop();
  rmSync(folder, { recursive: true });
}
const file = writeResult("gateway-half-load", {
  settings,
  machine: describeMachine(),
  versions: versionsOf(chosen),
  runs,
});
console.log(`${table()}\n\nRaw results: ${file}`);

function smallBody(): Body {
  const [first] = bodies;
  if (first === undefined) throw new Error("The bench needs a body");
  return first;
}

async function measure(name: string, round: number): Promise<HalfLoadRun> {
  const { target, own } = await startContender(name, upstream, folder);
  try {
    const headers = headersOf(own);
    await requireBody(target, body, headers);
    const most = await maximum(target, headers);
    const through = await paced(target, headers, most / 2, round);
    const direct = await paced(upstream, headers, most / 2, round);
    console.error(`round ${round} ${name}: ${perSecond(most / 2)}/s of ${perSecond(most)}/s`);
    return { target: name, round, most, through, direct };
  } finally {
    await target.stop();
  }
}

/** Requests a second with as many connections as are kept busy. */
async function maximum(
  { url }: Program,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  const load = { url: url + body.path, headers, connections: targetConnections, core: loadCore };
  await runGetLoad({ ...load, seconds: warmUpSeconds });
  const result = await runGetLoad({ ...load, seconds });
  if (failures(result) > 0) throw new Error(`${failures(result)} requests of ${url} failed`);
  return result.requestsPerSecond;
}

async function paced(
  { url }: Program,
  headers: Readonly<Record<string, string>>,
  requestsPerSecond: number,
  seed: number,
): Promise<PacedResult> {
  const result = await runPacedLoad(pacedLoad, {
    ...{ url: url + body.path, headers, connections: targetConnections, core: loadCore },
    ...{ requestsPerSecond, seconds, warmUpSeconds, seed },
  });
  if (result.failed > 0) throw new Error(`${result.failed} requests of ${url} failed`);
  return result;
}

function table(): string {
  const rows = chosen.map((name) => {
    const own = runs.filter((run) => run.target === name);
    const of = (value: (run: HalfLoadRun) => number): number => median(own.map(value));
    return [
      name,
      perSecond(of(({ through }) => through.requestsPerSecond)),
      milliseconds(of(({ through }) => through.p50Us)),
      milliseconds(of(({ through, direct }) => through.p50Us - direct.p50Us)),
      milliseconds(of(({ through }) => through.p99Us)),
      milliseconds(of(({ through, direct }) => through.p99Us - direct.p99Us)),
    ];
  });
  return markdownTable(["", "req/s", "p50 ms", "added", "p99 ms", "added"], rows);
}
