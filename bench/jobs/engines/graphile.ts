import { Logger, makeWorkerUtils, run, type Runner } from "graphile-worker";
import pg from "pg";
import { bulks, type Engine, type EngineOptions } from "../engine.ts";

const quiet = new Logger(() => () => undefined);
// The settings of its own performance page for high throughput.
const batched = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };

/** Graphile Worker as it comes. */
export function openGraphile(options: EngineOptions): Promise<Engine> {
  return open(options, {});
}

/** Graphile Worker with a local queue of 500 and batched completion. */
export function openGraphileBatched(options: EngineOptions): Promise<Engine> {
  return open(options, batched);
}

/** The server takes 100; a slot needs one only while it asks for a job or ends one. */
const mostConnections = 90;

async function open(
  { store, concurrency, onJob }: EngineOptions,
  worker: GraphileConfig.WorkerOptions,
): Promise<Engine> {
  const connections = Math.min(mostConnections, Math.max(10, concurrency + 2));
  const pool = new pg.Pool({ connectionString: store, max: connections });
  const utils = await makeWorkerUtils({ pgPool: pool, logger: quiet });
  await utils.migrate();
  let runner: Runner | undefined;
  let added = 0;
  return {
    async addMany(count) {
      for (const size of bulks(count))
        await utils.addJobs(
          Array.from({ length: size }, () => ({ identifier: "noop", payload: { n: added++ } })),
        );
    },
    async addOne() {
      await utils.addJob("noop", { n: added++ });
    },
    async start() {
      runner = await run({
        pgPool: pool,
        concurrency,
        logger: quiet,
        noHandleSignals: true,
        taskList: { noop: async () => onJob() },
        preset: { worker: { ...worker, concurrentJobs: concurrency } },
      });
    },
    async isDrained() {
      const { rows } = await pool.query("select 1 from graphile_worker._private_jobs limit 1");
      return rows.length === 0;
    },
    async close() {
      await runner?.stop();
      await utils.release();
      await pool.end();
    },
  };
}
