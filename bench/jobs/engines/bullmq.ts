import { Queue, Worker } from "bullmq";
import { bulks, type Engine, type EngineOptions } from "../engine.ts";

/** BullMQ on a Redis; completed jobs are removed at once, which is its quickest setting. */
export async function openBullmq({ store, concurrency, onJob }: EngineOptions): Promise<Engine> {
  const { hostname: host, port } = new URL(store);
  const connection = { host, port: Number(port), maxRetriesPerRequest: null };
  const options = { removeOnComplete: true, attempts: 5 };
  const queue = new Queue("noop", { connection, defaultJobOptions: options });
  const worker = new Worker("noop", async () => onJob(), {
    connection,
    concurrency,
    autorun: false,
  });
  let added = 0;
  return {
    async addMany(count) {
      for (const size of bulks(count))
        await queue.addBulk(
          Array.from({ length: size }, () => ({ name: "noop", data: { n: added++ } })),
        );
    },
    async addOne() {
      await queue.add("noop", { n: added++ });
    },
    async start() {
      void worker.run();
      await worker.waitUntilReady();
    },
    async isDrained() {
      const { waiting, active, prioritized } = await queue.getJobCounts();
      return (waiting ?? 0) + (active ?? 0) + (prioritized ?? 0) === 0;
    },
    async close() {
      await worker.close();
      await queue.close();
    },
  };
}
