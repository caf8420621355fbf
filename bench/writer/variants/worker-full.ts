import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { UnitAnswer } from "../units.ts";
import { WriterCounts, type WaitingRequest, type Writer } from "../writer.ts";

/** Requests of one turn of the main thread's event loop, as they cross to the writer's thread. */
export interface RequestBatch {
  readonly ids: readonly number[];
  readonly keys: readonly string[];
  readonly bodies: readonly string[];
}

/** Answers of one commit, as they cross back. */
export interface AnswerBatch {
  readonly ids: readonly number[];
  readonly answers: readonly UnitAnswer[];
}

/**
 * The writer and the handlers in a worker thread, synchronous=FULL: the sync blocks that thread
 * only. Requests cross in batches of one turn of the loop, answers in batches of one commit.
 */
export async function openWorkerFull(path: string, autoCheckpointPages: number): Promise<Writer> {
  const worker = new Worker(new URL("worker-full-thread.ts", import.meta.url), {
    workerData: { path, autoCheckpointPages },
  });
  await once(worker, "message");
  const counts = new WriterCounts();
  const unanswered = new Map<number, WaitingRequest>();
  let waiting: WaitingRequest[] = [];
  let lastId = 0;

  function postWaiting(): void {
    const ids: number[] = [];
    for (const request of waiting) {
      unanswered.set(++lastId, request);
      ids.push(lastId);
    }
    const batch: RequestBatch = {
      ids,
      keys: waiting.map((request) => request.key),
      bodies: waiting.map((request) => request.body),
    };
    waiting = [];
    worker.postMessage(batch);
  }

  worker.on("message", (batch: AnswerBatch) => {
    counts.countGroup(batch.ids.length);
    batch.ids.forEach((id, index) => {
      const answer = batch.answers[index];
      if (answer !== undefined) unanswered.get(id)?.answer(answer);
      unanswered.delete(id);
    });
  });

  return {
    submit: (request) => {
      if (waiting.push(request) === 1) setImmediate(postWaiting);
    },
    report: () => counts.report(),
    reset: () => counts.reset(),
    close: async () => {
      worker.postMessage("close");
      await once(worker, "exit");
    },
  };
}
