import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** A worker thread with a connection of its own that copies the log into the database file. */
export class CheckpointThread {
  readonly #worker: Worker;
  #running: Promise<number> | undefined;

  constructor(path: string) {
    this.#worker = new Worker(new URL("checkpoint-thread-worker.ts", import.meta.url), {
      workerData: { path },
    });
  }

  get busy(): boolean {
    return this.#running !== undefined;
  }

  /** Runs one passive checkpoint; answers how many milliseconds it took. */
  async run(): Promise<number> {
    this.#running = once(this.#worker, "message").then(([durationMs]) => Number(durationMs));
    this.#worker.postMessage("checkpoint");
    try {
      return await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  async close(): Promise<void> {
    await this.#running;
    this.#worker.postMessage("close");
    await once(this.#worker, "exit");
  }
}
