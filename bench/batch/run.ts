import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { describeMachine } from "../measure/machine.ts";
import { writeResult } from "../measure/results.ts";
import { startServer, type ServerProcess } from "../measure/server-process.ts";
import { percentile } from "../measure/statistics.ts";
import { describeVersions } from "../measure/versions.ts";
import { startBenchPostgres } from "../post/postgres.ts";

const { values: settings } = parseArgs({
  options: {
    items: { type: "string", default: "100000,1000000" },
    stores: { type: "string", default: "sqlite,postgres" },
    /** Small writes a second beside the batch. */
    rate: { type: "string", default: "100" },
    key: { type: "boolean", default: true },
  },
});

const linesPerPiece = 500;
const idleSeconds = 3;

/** What one batch on one store took. */
interface BatchRun {
  readonly store: string;
  readonly items: number;
  readonly bytes: number;
  readonly acceptedMs: number;
  readonly completedMs: number;
  /** From the 202 on: items a second. */
  readonly itemsPerSecond: number;
  readonly peakResidentMiB: number;
  readonly idleWriteP99Ms: number;
  readonly acceptingWriteP99Ms: number;
  readonly runningWriteP99Ms: number;
  readonly statusP99Ms: number;
}

const agent = new Agent({ keepAlive: true });

function send(url: string, method: string, body: Readable | string | undefined, type: string) {
  return new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
    const headers = {
      "content-type": type,
      ...(settings.key && method === "POST" ? { "idempotency-key": crypto.randomUUID() } : {}),
    };
    const sent = request(url, { method, headers, agent }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on("error", reject);
    if (body instanceof Readable) pipeline(body, sent).catch(reject);
    else sent.end(body);
  });
}

function* lines(items: number): Generator<string> {
  for (let start = 0; start < items; start += linesPerPiece) {
    let text = "";
    for (let index = start; index < Math.min(items, start + linesPerPiece); index++) {
      text += `{"to":"+4915${String(index).padStart(9, "0")}","body":"Your order ${index} has left the warehouse today."}\n`;
    }
    yield text;
  }
}

/** Small writes at a steady rate until it is stopped; answers their latencies in milliseconds. */
function steadyWrites(url: string): { stop(): Promise<number[]> } {
  const latencies: number[] = [];
  const underWay = new Set<Promise<void>>();
  const timer = setInterval(
    () => {
      const startedAt = performance.now();
      const one = send(
        `${url}/notes`,
        "POST",
        JSON.stringify({ id: crypto.randomUUID() }),
        "application/json",
      )
        .then(({ status }) => {
          if (status !== 202) throw new Error(`A note was answered with ${status}`);
          latencies.push(performance.now() - startedAt);
        })
        .finally(() => underWay.delete(one));
      underWay.add(one);
    },
    1_000 / Number(settings.rate),
  );
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
      return latencies;
    },
  };
}

function peakResidentMiB(server: ServerProcess): number {
  const text = readFileSync(`/proc/${server.child.pid}/status`, "utf8");
  return Math.round(Number(/^VmHWM:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1_024);
}

async function measure(store: string, items: number, server: ServerProcess): Promise<BatchRun> {
  const url = /ready on (http:\S+)/.exec(server.greeting)?.[1] ?? "";
  await send(`${url}/messages`, "POST", Readable.from(lines(5_000)), "application/x-ndjson");
  const idle = steadyWrites(url);
  await delay(idleSeconds * 1_000);
  const idleLatencies = await idle.stop();

  const accepting = steadyWrites(url);
  const startedAt = performance.now();
  const accepted = await send(
    `${url}/messages`,
    "POST",
    Readable.from(lines(items)),
    "application/x-ndjson",
  );
  const acceptedMs = performance.now() - startedAt;
  if (accepted.status !== 202) throw new Error(accepted.text);
  const acceptingLatencies = await accepting.stop();

  const { id } = JSON.parse(accepted.text) as { id: string };
  const running = steadyWrites(url);
  const reads: number[] = [];
  for (;;) {
    const readAt = performance.now();
    const { text } = await send(
      `${url}/messages/${id}/status`,
      "GET",
      undefined,
      "application/json",
    );
    reads.push(performance.now() - readAt);
    if ((JSON.parse(text) as { status: string }).status === "completed") break;
    await delay(20);
  }
  const completedMs = performance.now() - startedAt;
  const runningLatencies = await running.stop();
  const bytes = [...lines(items)].reduce((sum, text) => sum + text.length, 0);
  return {
    store,
    items,
    bytes,
    acceptedMs: Math.round(acceptedMs),
    completedMs: Math.round(completedMs),
    itemsPerSecond: Math.round((items * 1_000) / (completedMs - acceptedMs)),
    peakResidentMiB: peakResidentMiB(server),
    idleWriteP99Ms: round(percentile(idleLatencies, 99)),
    acceptingWriteP99Ms: round(percentile(acceptingLatencies, 99)),
    runningWriteP99Ms: round(percentile(runningLatencies, 99)),
    statusP99Ms: round(percentile(reads, 99)),
  };
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}

async function runOn(store: string, items: number): Promise<BatchRun> {
  const dataDir = mkdtempSync(join(tmpdir(), "apiforge-batch-"));
  const postgres = store === "postgres" ? await startBenchPostgres() : undefined;
  const server = await startServer({
    entry: fileURLToPath(new URL("./server.ts", import.meta.url)),
    environment: {
      PORT: "0",
      APIFORGE_DATA_DIR: dataDir,
      APIFORGE_LOG_LEVEL: "warn",
      ...(postgres === undefined ? {} : { DATABASE_URL: postgres.url }),
    },
    readyText: "APIForge ready",
  });
  try {
    return await measure(store, items, server);
  } finally {
    await server.stop();
    await postgres?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const runs: BatchRun[] = [];
for (const store of settings.stores.split(",")) {
  for (const items of settings.items.split(",")) runs.push(await runOn(store, Number(items)));
}
const file = writeResult("batch", {
  settings,
  machine: describeMachine(),
  versions: describeVersions(["fastify", "pg"]),
  runs,
});
console.table(runs);
console.log(`Raw results: ${file}`);
