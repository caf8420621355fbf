import pg from "pg";
import { PgBoss } from "pg-boss";
import { bulks, type Engine, type EngineOptions } from "../engine.ts";

const queue = "noop";
const batchSize = 500;
/** More workers only poll against each other on two cores. */
const mostWorkers = 32;

/** pg-boss with batches of 500 that are fetched without a pause while they come back full. */
export async function openPgBoss({ store, concurrency, onJob }: EngineOptions): Promise<Engine> {
  const boss = new PgBoss({ connectionString: store, max: 20, useListenNotify: true });
  boss.on("error", (error) => console.error(error));
  await boss.start();
  await boss.createQueue(queue, { notify: true });
  const pool = new pg.Pool({ connectionString: store, max: 1 });
  let added = 0;
  return {
    async addMany(count) {
      for (const size of bulks(count))
        await boss.insert(
          queue,
          Array.from({ length: size }, () => ({ data: { n: added++ } })),
        );
    },
    async addOne() {
      await boss.send(queue, { n: added++ });
    },
    async start() {
      const options = {
        batchSize,
        burstWhenBatchFull: true,
        pollingIntervalSeconds: 0.5,
        localConcurrency: Math.min(concurrency, mostWorkers),
      };
      await boss.work(queue, options, async (jobs) => {
        for (const _ of jobs) onJob();
      });
    },
    async isDrained() {
      const { rows } = await pool.query(
        "select 1 from pgboss.job where name = $1 and state < 'completed' limit 1",
        [queue],
      );
      return rows.length === 0;
    },
    async close() {
      await boss.stop({ graceful: true, timeout: 5_000 });
      await pool.end();
    },
  };
}
