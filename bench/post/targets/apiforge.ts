import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freePort, startServer } from "../../measure/server-process.ts";
import { startBenchPostgres } from "../postgres.ts";
import { countPostgresEffects, countSqliteEffects } from "./apiforge-effects.ts";
import {
  jobConcurrency,
  type ServerOptions,
  type Target,
  type TargetServer,
  type TargetStore,
} from "./target.ts";

const execute = promisify(execFile);
const entry = fileURLToPath(new URL("../ours/start.mjs", import.meta.url));
const tokenCommand = fileURLToPath(
  new URL("../../../packages/apiforge/src/cli/token.ts", import.meta.url),
);

/** The database that a store of ours keeps everything in, for statements past the server. */
export type RawDatabase =
  | { readonly dialect: "sqlite"; readonly directory: string }
  | { readonly dialect: "postgres"; readonly url: string };

/** A store of ours, which others may fill while no server runs on it. */
export interface ApiforgeStore extends TargetStore {
  readonly database: RawDatabase;
}

/** One of the two stores of ours. */
export interface ApiforgeTarget extends Target {
  createStore(): Promise<ApiforgeStore>;
}

/** Ours on SQLite: one process, one directory. */
export const apiforgeSqlite: ApiforgeTarget = {
  name: "apiforge-sqlite",
  description:
    "APIForge on SQLite: project, event, job and idempotency record in one commit; one process, no service beside it.",
  durability: "SQLite WAL, one fdatasync per group of commits before their answers",
  async createStore() {
    const directory = createDirectory();
    return {
      database: { dialect: "sqlite", directory },
      startServer: (options) => startApiforge(directory, {}, options),
      servicePids: () => [],
      countEffects: async () => countSqliteEffects(directory),
      dispose: async () => rmSync(directory, { recursive: true }),
    };
  },
};

/** Ours on PostgreSQL: everything in one database, no Redis. */
export const apiforgePostgres: ApiforgeTarget = {
  name: "apiforge-postgres",
  description:
    "APIForge on PostgreSQL: project, event, job and idempotency record in one transaction; no Redis.",
  durability: "PostgreSQL fsync=on, synchronous_commit=on",
  async createStore() {
    const directory = createDirectory();
    const postgres = await startBenchPostgres();
    return {
      database: { dialect: "postgres", url: postgres.url },
      startServer: (options) => startApiforge(directory, { DATABASE_URL: postgres.url }, options),
      servicePids: () => [postgres.pid() ?? 0],
      countEffects: () => countPostgresEffects(postgres.url),
      async dispose() {
        await postgres.stop();
        rmSync(directory, { recursive: true });
      },
    };
  },
};

function createDirectory(): string {
  return mkdtempSync(join(tmpdir(), "apiforge-bench-"));
}

async function startApiforge(
  directory: string,
  variables: Readonly<Record<string, string>>,
  options: ServerOptions,
): Promise<TargetServer> {
  const port = await freePort();
  const environment = {
    ...variables,
    PORT: String(port),
    HOST: "127.0.0.1",
    APIFORGE_DATA_DIR: directory,
    APIFORGE_DATABASE_POOL: String(options.postgresConnections),
    APIFORGE_LOG_LEVEL: "warn",
    APIFORGE_JOB_CONCURRENCY: String(options.workers ? jobConcurrency : 0),
  };
  const token = await issueToken(environment);
  const server = await startServer({ entry, readyText: "APIForge ready on", environment });
  return { process: server, origin: `http://127.0.0.1:${port}`, path: "/api/projects", token };
}

async function issueToken(environment: Readonly<Record<string, string>>): Promise<string> {
  const { stdout } = await execute(
    process.execPath,
    [
      ...["--conditions=@apiforge/source", tokenCommand],
      ...["--sub", "usr_bench", "--email", "bench@apiforge.dev", "--tenant", "ten_bench"],
      ...["--role", "admin", "--ttl", "12h"],
    ],
    { env: { ...process.env, ...environment } },
  );
  return stdout.trim();
}
