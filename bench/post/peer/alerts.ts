import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import type { Project } from "./database.ts";

/** The queue's name; Redis keys of it start with `bull:slack-alert:`. */
const queueName = "slack-alert";
const workerConcurrency = 10;

/** The Slack alerts of new projects, run by BullMQ. */
export interface Alerts {
  /** Resolves once Redis has the job. */
  add(project: Project): Promise<void>;
  close(): Promise<void>;
}

/** Opens the queue and, with `workers`, a worker in this process whose handler does nothing. */
export function openAlerts(redisUrl: string, workers: boolean): Alerts {
  const queueConnection = new Redis(redisUrl, { enableAutoPipelining: true });
  const queue = new Queue(queueName, {
    connection: queueConnection,
    defaultJobOptions: {
      attempts: 3,
      backoff: { type: "exponential", delay: 2_000 },
      removeOnComplete: { count: 1_000 },
      removeOnFail: { age: 86_400 },
    },
  });
  const workerConnection = workers
    ? new Redis(redisUrl, { maxRetriesPerRequest: null })
    : undefined;
  const worker =
    workerConnection &&
    new Worker(queueName, async () => undefined, {
      connection: workerConnection,
      concurrency: workerConcurrency,
    });
  return {
    async add(project) {
      await queue.add(queueName, { projectId: project.id, status: project.status });
    },
    async close() {
      await worker?.close();
      await queue.close();
      workerConnection?.disconnect();
      queueConnection.disconnect();
    },
  };
}
