import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { failures, runLoad, type Load, type LoadResult } from "../measure/load.ts";
import { describeMachine } from "../measure/machine.ts";
import { writeResult } from "../measure/results.ts";
import { startServer, type ServerProcess } from "../measure/server-process.ts";
import { describeVersions } from "../measure/versions.ts";
import type { ServerReport } from "./server.ts";
import {
  buildSlowFsync,
  readSyncCounts,
  syncsSince,
  type SlowFsync,
  type SyncCounts,
} from "./slow-fsync.ts";
import { summaryTable } from "./summary.ts";
import { variants } from "./variants/index.ts";

/** One measurement of one variant. */
export interface WriterRun {
  readonly variant: string;
  /** Milliseconds of every sync, or `disk` for the real one of this machine. */
  readonly fsync: string;
  readonly round: number;
  readonly load: LoadResult;
  readonly server: ServerReport;
  readonly syncs: SyncCounts;
  readonly cpuMs: number;
  readonly residentBytes: number;
}

const warmUpSeconds = 1;
/** Syncs cost nothing here, so that the slowed ones last exactly as long as the run says. */
const memoryDirectory = "/dev/shm";
const requestBody = JSON.stringify({
  name: "Notification Service",
  status: "active",
  description: "Sends the alerts of every team to the channel that the team chose for itself.",
});

const { values: settings } = parseArgs({
  options: {
    seconds: { type: "string", default: "6" },
    rounds: { type: "string", default: "3" },
    connections: { type: "string", default: "64" },
    fsync: { type: "string", default: "disk,0.1,5,20" },
    variants: { type: "string", default: Object.keys(variants).join(",") },
  },
});
const scratch = mkdtempSync(join(tmpdir(), "apiforge-writer-"));
try {
  await measureAll(buildSlowFsync(scratch));
} finally {
  rmSync(scratch, { recursive: true });
}

async function measureAll(shim: SlowFsync): Promise<void> {
  const runs: WriterRun[] = [];
  for (const fsync of settings.fsync.split(",")) {
    for (let round = 1; round <= Number(settings.rounds); round++) {
      for (const variant of settings.variants.split(",")) {
        const run = await measure(shim, variant, fsync, round);
        console.error(
          `fsync ${fsync} round ${round} ${variant}: ${Math.round(run.load.requestsPerSecond)}/s`,
        );
        runs.push(run);
      }
    }
  }
  const file = writeResult("writer", {
    settings,
    machine: describeMachine(scratch),
    versions: describeVersions([]),
    runs,
  });
  console.log(`${summaryTable(runs)}\n\nRaw results: ${file}`);
}

async function measure(
  shim: SlowFsync,
  variant: string,
  fsync: string,
  round: number,
): Promise<WriterRun> {
  const directory = mkdtempSync(
    join(fsync === "disk" ? scratch : memoryDirectory, "apiforge-writer-"),
  );
  const database = join(directory, "store.db");
  const counterFile = join(directory, "counters");
  try {
    const server = await startServer({
      entry: fileURLToPath(new URL("server.ts", import.meta.url)),
      readyText: "ready on",
      environment: {
        WRITER_DATABASE: database,
        WRITER_VARIANT: variant,
        ...shim.environment(fsync === "disk" ? 0 : Number(fsync), counterFile),
      },
    });
    const load = loadOn(server);
    const warmUp = await runLoad({ ...load, seconds: warmUpSeconds });
    await ask(server, "reset");
    const before = { syncs: readSyncCounts(counterFile), cpuMs: server.usage().cpuMs };
    const result = await runLoad(load);
    const report: ServerReport = await ask(server, "report");
    const usage = server.usage();
    const syncs = syncsSince(before.syncs, readSyncCounts(counterFile));
    await server.stop();
    verifyRows(database, warmUp, result);
    return {
      variant,
      fsync,
      round,
      load: result,
      server: report,
      syncs,
      cpuMs: usage.cpuMs - before.cpuMs,
      residentBytes: usage.residentBytes,
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function loadOn(server: ServerProcess): Load {
  const origin = /http:\/\/127\.0\.0\.1:\d+/.exec(server.greeting)?.[0];
  if (origin === undefined) throw new Error("The server printed no address.");
  return {
    origin,
    path: "/projects",
    token: "",
    body: requestBody,
    connections: Number(settings.connections),
    seconds: Number(settings.seconds),
  };
}

async function ask<Answer>(server: ServerProcess, message: "reset" | "report"): Promise<Answer> {
  const answered = once(server.child, "message");
  server.child.send(message);
  const [answer]: Answer[] = await answered;
  if (answer === undefined) throw new Error("The server answered nothing.");
  return answer;
}

/** Every answered request must have its four rows; requests cut off by the end of a load may have theirs. */
function verifyRows(path: string, ...loads: readonly LoadResult[]): void {
  const answered = loads.reduce((sum, load) => sum + load.requests, 0);
  const failed = loads.reduce((sum, load) => sum + failures(load), 0);
  if (failed > 0) throw new Error(`${failed} requests failed.`);
  const cutOff = loads.length * Number(settings.connections);
  const database = new DatabaseSync(path);
  try {
    for (const table of ["projects", "jobs", "events", "idempotency"]) {
      const rows = Number(database.prepare(`select count(*) as n from ${table}`).get()?.n);
      if (rows < answered || rows > answered + cutOff) {
        throw new Error(`${table} has ${rows} rows for ${answered} answered requests.`);
      }
    }
  } finally {
    database.close();
  }
}
