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
import { describeVersions } from "../measure/versions.ts";
import { startBenchPostgres } from "../post/postgres.ts";
import { Probe, type ProbeSummary } from "./probe-process.ts";

const { values: settings } = parseArgs({
  options: {
    items: { type: "string", default: "100000,1000000" },
    stores: { type: "string", default: "sqlite,postgres" },
    rounds: { type: "string", default: "3" },
    /** Small writes a second beside the batch. */
    writes: { type: "string", default: "100" },
    /** Reads of its status a second. */
    reads: { type: "string", default: "50" },
    "idle-seconds": { type: "string", default: "8" },
  },
});

const linesPerPiece = 500;
const warmSeconds = 4;
const pollMs = 100;

/** What one batch on one store took, and what small requests felt before, meanwhile and while it ran. */
interface BatchRun {
  readonly store: string;
  readonly items: number;
  readonly bytes: number;
  readonly acceptedMs: number;
  readonly completedMs: number;
  /** From the 202 on: items a second. */
  readonly itemsPerSecond: number;
  readonly peakResidentMiB: number;
  readonly idle: ProbeSummary;
  readonly accepting: ProbeSummary;
  readonly running: ProbeSummary;
}

const agent = new Agent({ keepAlive: true });

function send(url: string, method: string, body: Readable | undefined) {
  return new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
    const headers = {
      "content-type": "application/x-ndjson",
      ...(method === "POST" ? { "idempotency-key": crypto.randomUUID() } : {}),
    };
    const sent = request(url, { method, headers, agent }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on("error", reject);
    if (body === undefined) sent.end();
    else pipeline(body, sent).catch(reject);
  });
}

/** The body in pieces, made before anything is measured: making it would take a core from the server. */
function bodyOf(items: number): readonly Buffer[] {
  const pieces: Buffer[] = [];
  for (let start = 0; start < items; start += linesPerPiece) {
    let text = "";
    for (let index = start; index < Math.min(items, start + linesPerPiece); index++) {
      text += `{"to":"+4915${String(index).padStart(9, "0")}","body":"Your order ${index} has left the warehouse today."}\n`;
    }
    pieces.push(Buffer.from(text));
  }
  return pieces;
}

async function accept(url: string, body: readonly Buffer[]): Promise<string> {
  const { status, text } = await send(`${url}/messages`, "POST", Readable.from(body));
  if (status !== 202) throw new Error(text);
  const { id } = JSON.parse(text) as { id: string };
  return id;
}

async function untilCompleted(url: string, id: string): Promise<void> {
  for (;;) {
    const { text } = await send(`${url}/messages/${id}/status`, "GET", undefined);
    if ((JSON.parse(text) as { status: string }).status === "completed") return;
    await delay(pollMs);
  }
}

function peakResidentMiB(server: ServerProcess): number {
  const text = readFileSync(`/proc/${server.child.pid}/status`, "utf8");
  return Math.round(Number(/^VmHWM:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1_024);
}

async function measure(
  store: string,
  items: number,
  server: ServerProcess,
  probe: Probe,
): Promise<BatchRun> {
  const url = /ready on (http:\S+)/.exec(server.greeting)?.[1] ?? "";
  const body = bodyOf(items);
  const rates = {
    writesPerSecond: Number(settings.writes),
    readsPerSecond: Number(settings.reads),
  };
  async function probed(batchId: string, work: () => Promise<void>): Promise<ProbeSummary> {
    probe.begin({ url, batchId, ...rates });
    await work();
    return probe.end();
  }

  const first = await accept(url, bodyOf(5_000));
  await untilCompleted(url, first);
  await probed(first, () => delay(warmSeconds * 1_000));
  const idle = await probed(first, () => delay(Number(settings["idle-seconds"]) * 1_000));

  const startedAt = performance.now();
  let id = first;
  const accepting = await probed(first, async () => {
    id = await accept(url, body);
  });
  const acceptedMs = performance.now() - startedAt;
  const running = await probed(id, () => untilCompleted(url, id));
  const completedMs = performance.now() - startedAt;
  return {
    store,
    items,
    bytes: body.reduce((sum, piece) => sum + piece.length, 0),
    acceptedMs: Math.round(acceptedMs),
    completedMs: Math.round(completedMs),
    itemsPerSecond: Math.round((items * 1_000) / (completedMs - acceptedMs)),
    peakResidentMiB: peakResidentMiB(server),
    idle,
    accepting,
    running,
  };
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
  const probe = await Probe.start();
  try {
    return await measure(store, items, server, probe);
  } finally {
    probe.stop();
    await server.stop();
    await postgres?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** One line a run: writes and reads as `idle / accepting / running`. */
function row({ idle, accepting, running, ...run }: BatchRun) {
  const phases = [idle, accepting, running];
  const of = (name: keyof ProbeSummary): string => phases.map((phase) => phase[name]).join(" / ");
  const { store, items, acceptedMs, itemsPerSecond, peakResidentMiB } = run;
  return {
    ...{ store, items, acceptedMs, itemsPerSecond, peakResidentMiB },
    ...{ writeP50: of("writeP50Ms"), writeP99: of("writeP99Ms") },
    ...{ readP50: of("readP50Ms"), readP99: of("readP99Ms"), tool: of("ownDelayP99Ms") },
  };
}

const runs: BatchRun[] = [];
for (let round = 1; round <= Number(settings.rounds); round++) {
  for (const store of settings.stores.split(",")) {
    for (const items of settings.items.split(",")) runs.push(await runOn(store, Number(items)));
  }
}
const file = writeResult("batch", {
  settings,
  machine: describeMachine(),
  versions: describeVersions(["fastify", "pg"]),
  runs,
});
console.table(runs.map(row));
console.log(`Raw results: ${file}`);
