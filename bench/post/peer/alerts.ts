import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import type { Project } from "./project-store.ts";

/** The queue's name; Redis keys of it start with `bull:slack-alert:`. */
export const alertQueue = "slack-alert";

/** The Slack alerts of new projects, run by BullMQ. */
export interface Alerts {
  /** Resolves once Redis has the job. */
  add(project: Project, actor: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the queue and a worker in this process that runs `concurrency` jobs at once, none when it
 * is 0. Its handler does nothing.
 */
export function openAlerts(redisUrl: string, concurrency: number): Alerts {
  const queueConnection = new Redis(redisUrl, { enableAutoPipelining: true });
  const queue = new Queue(alertQueue, {
    connection: queueConnection,
    defaultJobOptions: {
      attempts: 3,
      backoff: { type: "exponential", delay: 2_000 },
      removeOnComplete: { count: 1_000 },
      removeOnFail: { age: 86_400 },
    },
  });
  const worker = concurrency === 0 ? undefined : startWorker(redisUrl, concurrency);
  return {
    async add({ id, name, status }, actor) {
      await queue.add("project.created", { actor, project: { id, name, status } });
    },
    async close() {
      await worker?.close();
      await queue.close();
      queueConnection.disconnect();
    },
  };
}

function startWorker(redisUrl: string, concurrency: number) {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const worker = new Worker(alertQueue, async () => undefined, { connection, concurrency });
  return {
    async close() {
      await worker.close();
      connection.disconnect();
    },
  };
}
