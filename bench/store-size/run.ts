import { parseArgs } from "node:util";
import { describeMachine } from "../measure/machine.ts";
import { postOnce } from "../measure/post-once.ts";
import { writeResult } from "../measure/results.ts";
import { median } from "../measure/statistics.ts";
import { markdownTable, milliseconds, perSecond } from "../measure/table.ts";
import { describeVersions } from "../measure/versions.ts";
import {
  measureOnStore,
  measureTarget,
  projectBody,
  type Measurement,
  type TargetRun,
} from "../post/measure-target.ts";
import { postgresSettings } from "../post/postgres.ts";
import { serviceVersions } from "../post/service-versions.ts";
import {
  apiforgePostgres,
  apiforgeSqlite,
  type ApiforgeStore,
  type ApiforgeTarget,
} from "../post/targets/apiforge.ts";
import type { ServerOptions } from "../post/targets/target.ts";
import { databaseBytes } from "./database-bytes.ts";
import { fillPostgres } from "./fill-postgres.ts";
import { fillSqlite } from "./fill-sqlite.ts";

/** One measurement of one target on an empty or a filled store. */
interface StoreSizeRun extends TargetRun {
  readonly store: "empty" | "filled";
}

/** How a store was filled. */
interface Fill {
  readonly target: string;
  readonly rows: number;
  readonly milliseconds: number;
  /** Of the database with its indexes, before the first load. */
  readonly bytes: number;
}

const { values: settings } = parseArgs({
  options: {
    targets: { type: "string", default: "apiforge-sqlite,apiforge-postgres" },
    rows: { type: "string", default: "5000000" },
    connections: { type: "string", default: "64" },
    seconds: { type: "string", default: "10" },
    "warm-up-seconds": { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
  },
});
const server: ServerOptions = { workers: false, postgresConnections: 20 };
const measurement: Measurement = {
  connections: Number(settings.connections),
  seconds: Number(settings.seconds),
  warmUpSeconds: Number(settings["warm-up-seconds"]),
  server,
};

const fills: Fill[] = [];
const runs: StoreSizeRun[] = [];
for (const target of [apiforgeSqlite, apiforgePostgres]) {
  if (settings.targets.split(",").includes(target.name)) runs.push(...(await measureSizes(target)));
}
if (runs.length === 0)
  throw new Error("--targets names neither apiforge-sqlite nor apiforge-postgres.");
const file = writeResult("store-size", {
  settings,
  postgresSettings,
  machine: describeMachine(),
  versions: { ...describeVersions(["fastify", "pg"]), ...serviceVersions() },
  fills,
  runs,
});
console.log(`${table(runs)}\n\nRaw results: ${file}`);

async function measureSizes(target: ApiforgeTarget): Promise<StoreSizeRun[]> {
  const filled = await target.createStore();
  const measured: StoreSizeRun[] = [];
  try {
    await writeOriginal(filled);
    fills.push(await fill(target.name, filled));
    let present = await filled.countEffects();
    for (let round = 1; round <= Number(settings.rounds); round++) {
      measured.push({ store: "empty", ...(await measureTarget(target, measurement)) });
      const run = await measureOnStore(target.name, filled, measurement, present);
      present = run.effects;
      measured.push({ store: "filled", ...run });
    }
  } finally {
    await filled.dispose();
  }
  return measured;
}

/** One real request, so that the copies have every column as the server writes it. */
async function writeOriginal(store: ApiforgeStore): Promise<void> {
  const running = await store.startServer(server);
  const status = await postOnce(`${running.origin}${running.path}`, running.token, projectBody);
  await running.process.stop();
  if (status !== 201) throw new Error(`The request to be copied was answered ${status}.`);
}

async function fill(target: string, { database }: ApiforgeStore): Promise<Fill> {
  const rows = Number(settings.rows);
  const startedAt = performance.now();
  if (database.dialect === "sqlite") fillSqlite(database.directory, rows);
  else await fillPostgres(database.url, rows);
  const elapsedMs = Math.round(performance.now() - startedAt);
  const bytes = await databaseBytes(database);
  console.error(`${target}: ${rows} rows of each kind, ${bytes} bytes, in ${elapsedMs} ms`);
  return { target, rows, milliseconds: elapsedMs, bytes };
}

function table(all: readonly StoreSizeRun[]): string {
  const groups = Map.groupBy(all, (run) => `${run.target}, ${run.store}`);
  return markdownTable(
    ["target, store", "req/s", "p50 ms", "p99 ms", "server MB", "missing"],
    [...groups].map(([name, rounds]) => {
      const middle = (pick: (run: StoreSizeRun) => number) => median(rounds.map(pick));
      return [
        name,
        perSecond(middle((run) => run.load.requestsPerSecond)),
        milliseconds(middle((run) => run.load.p50Us)),
        milliseconds(middle((run) => run.load.p99Us)),
        (middle((run) => run.serverResidentBytes) / 1e6).toFixed(0),
        String(rounds.reduce((sum, run) => sum + run.missingEffects, 0)),
      ];
    }),
  );
}
