import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { startUpstream } from "../gateway/upstream.ts";
import { failures, runRestingLoad, type LoadResult } from "../measure/load.ts";
import { describeMachine } from "../measure/machine.ts";
import { writeResult } from "../measure/results.ts";
import { describeVersions } from "../measure/versions.ts";
import { startBenchPostgres } from "../post/postgres.ts";
import { startGateway } from "./gateway.ts";

/*
 * A gateway of two processes that are replaced one after the other, again and again, under about 5,000 requests a
 * second: how many fail. Before that one and two processes under all that wrk can send, and how evenly two share it
 * when connections are handed to them in turn and when that is left to the system. Everything shares the machine's cores.
 */

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "30" },
    "full-seconds": { type: "string", default: "8" },
  },
});
const connections = 64;
const pauseMs = 12;
const warmUpSeconds = 3;

interface Full {
  readonly variant: string;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
  /** Of the gateway's processes, for each request. */
  readonly cpuUs: number;
  /** Of the gateway's processes at the end. */
  readonly megabytes: number;
  /** The share of all requests of the process that had most. */
  readonly largestShare: number;
}

const folder = mkdtempSync(join(tmpdir(), "apiforge-rolling-"));
const upstream = await startUpstream(folder, 1);
const postgres = await startBenchPostgres();

async function measureFull(
  variant: string,
  environment: Readonly<Record<string, string>>,
): Promise<Full> {
  const gateway = await startGateway(upstream.url, postgres.url, environment);
  const load = (seconds: number): Promise<LoadResult> =>
    runRestingLoad({ url: `${gateway.url}/products/42`, connections, seconds, pauseMs: 0 });
  await load(warmUpSeconds);
  const before = await gateway.answered();
  const usedMs = gateway.usage().cpuMs;
  const result = await load(Number(values["full-seconds"]));
  const { cpuMs, residentBytes } = gateway.usage();
  const after = await gateway.answered();
  await gateway.stop();
  const counts = [...after].map(([number, count]) => count - (before.get(number) ?? 0));
  const all = counts.reduce((sum, count) => sum + count, 0);
  return {
    variant,
    ...rates(result),
    failed: failures(result),
    cpuUs: Math.round(((cpuMs - usedMs) * 1_000) / result.requests),
    megabytes: Math.round(residentBytes / 1_048_576),
    largestShare: counts.length === 0 ? 1 : Math.max(...counts) / all,
  };
}

function rates({ requestsPerSecond, p50Us, p99Us, maxUs }: LoadResult) {
  return {
    requestsPerSecond: Math.round(requestsPerSecond),
    p50Ms: p50Us / 1_000,
    p99Ms: p99Us / 1_000,
    maxMs: maxUs / 1_000,
  };
}

async function measureRestarts() {
  const gateway = await startGateway(upstream.url, postgres.url, { APIFORGE_PROCESSES: "2" });
  const url = `${gateway.url}/products/42`;
  await runRestingLoad({ url, connections, seconds: warmUpSeconds, pauseMs });
  const still = await runRestingLoad({ url, connections, seconds: 8, pauseMs });
  const over = new AbortController();
  const load = runRestingLoad({ url, connections, seconds: Number(values.seconds), pauseMs });
  const done = load.finally(() => over.abort());
  let restarts = 0;
  while (!over.signal.aborted) {
    await gateway.restart();
    restarts += 1;
  }
  const result = await done;
  await gateway.stop();
  return {
    requests: result.requests,
    failed: failures(result),
    restarts,
    processesReplaced: 2 * restarts,
    ...rates(result),
    withoutRestarts: { failed: failures(still), ...rates(still) },
  };
}

const restarts = await measureRestarts();
console.log(JSON.stringify(restarts, undefined, 2));
const full: Full[] = [];
for (const [variant, environment] of [
  ["1 process", {}],
  ["2 processes, in turn", { APIFORGE_PROCESSES: "2" }],
  [
    "2 processes, left to the system",
    { APIFORGE_PROCESSES: "2", NODE_CLUSTER_SCHED_POLICY: "none" },
  ],
] as const) {
  full.push(await measureFull(variant, environment));
}
console.table(full);
await postgres.stop();
await upstream.stop();
rmSync(folder, { recursive: true });
const file = writeResult("rolling", {
  settings: { ...values, connections, pauseMs, warmUpSeconds },
  machine: describeMachine(),
  versions: describeVersions([]),
  restarts,
  full,
});
console.log(`Raw results: ${file}`);
