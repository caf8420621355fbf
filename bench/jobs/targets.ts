import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRedis } from "@apiforge/testing";
import { startBenchPostgres } from "../post/postgres.ts";

/** An empty store of its own for one run. */
export interface RunStore {
  readonly address: string;
  dispose(): Promise<void>;
}

/** An engine with the store that it is measured on. */
export interface JobTarget {
  readonly name: string;
  readonly engine: string;
  readonly durability: string;
  /** Jobs of a throughput run, so that every run takes some seconds. */
  readonly jobs: number;
  createStore(): Promise<RunStore>;
}

const postgresDurability = "PostgreSQL fsync=on, synchronous_commit=on";

/** Every target, peers first. */
export const jobTargets: readonly JobTarget[] = [
  redisTarget("bullmq-everysec", "everysec"),
  redisTarget("bullmq-always", "always"),
  postgresTarget("pg-boss", "pg-boss", 20_000),
  postgresTarget("graphile", "graphile", 20_000),
  postgresTarget("graphile-batched", "graphile-batched", 60_000),
  postgresTarget("apiforge-postgres", "apiforge", 60_000),
  {
    name: "apiforge-sqlite",
    engine: "apiforge",
    durability: "SQLite WAL, one fdatasync per group of commits before their answers",
    jobs: 300_000,
    async createStore() {
      const address = mkdtempSync(join(tmpdir(), "apiforge-bench-jobs-"));
      return { address, dispose: async () => rmSync(address, { recursive: true }) };
    },
  },
];

function redisTarget(name: string, appendfsync: "everysec" | "always"): JobTarget {
  return {
    name,
    engine: "bullmq",
    durability: `Redis appendfsync=${appendfsync}`,
    jobs: 40_000,
    async createStore() {
      const redis = await startRedis({ appendfsync });
      return { address: redis.url, dispose: () => redis.stop() };
    },
  };
}

function postgresTarget(name: string, engine: string, jobs: number): JobTarget {
  return {
    name,
    engine,
    durability: postgresDurability,
    jobs,
    async createStore() {
      const postgres = await startBenchPostgres();
      return { address: postgres.url, dispose: () => postgres.stop() };
    },
  };
}
