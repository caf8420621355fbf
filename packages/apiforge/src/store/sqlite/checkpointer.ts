import { once } from "node:events";
import type { StatementSync } from "node:sqlite";
import { Worker } from "node:worker_threads";

import type { Log } from "../../kernel/index.ts";
import type { CheckpointResult } from "./checkpoint-worker.ts";
import type { SqliteConnection } from "./connection.ts";

/** Pages of the write-ahead log that are not in the database yet at which copying starts: 16 MiB of 2 KiB pages. */
const copyAtPages = 8_192;
/** Pages of the log at which writing pauses until all of it is copied, so that the log starts over: 64 MiB. */
const restartAtPages = 32_768;

/**
 * Moves the log's pages into the database from a thread of its own, so that neither the copying
 * nor its fsyncs stall the event loop. PASSIVE checkpoints take no lock that a writer wants; under
 * steady writing they never reach the log's end, so at `restartAtPages` the writer is held for the
 * short rest and its next commit starts the log over. The file keeps its size: it is reused.
 */
export class Checkpointer {
  readonly #path: string;
  readonly #log: Log;
  readonly #measure: StatementSync;
  /** Started by the first copy: a small database never needs the thread and its 19 MB. */
  #worker: Worker | undefined;
  #running: Promise<CheckpointResult> | undefined;
  #copiedPages = 0;
  #holdAtPages = restartAtPages;

  constructor(path: string, writer: SqliteConnection, log: Log) {
    this.#path = path;
    this.#log = log;
    // Reports the log's length and copies nothing (SQLite 3.51); 1 us.
    this.#measure = writer.prepare("pragma wal_checkpoint(noop)");
  }

  /** The log's length; it changes with every commit that wrote something. */
  logPages(): number {
    return Number(this.#measure.get()?.["log"] ?? 0);
  }

  /** Called between groups. Resolves at once, or when the writer may go on. */
  async afterGroup(logPages: number): Promise<void> {
    if (logPages < this.#copiedPages) this.#logStartedOver();
    if (logPages >= this.#holdAtPages) await this.#copyAll(logPages);
    else if (logPages - this.#copiedPages >= copyAtPages) void this.#copy();
  }

  async close(): Promise<void> {
    await this.#running;
    await this.#worker?.terminate();
  }

  #logStartedOver(): void {
    this.#copiedPages = 0;
    this.#holdAtPages = restartAtPages;
  }

  async #copyAll(logPages: number): Promise<void> {
    await this.#running;
    await this.#copy();
    // A long reader keeps the log from starting over; holding every group for it would help nobody.
    this.#holdAtPages = logPages + restartAtPages;
  }

  #copy(): Promise<CheckpointResult> {
    this.#running ??= this.#request().finally(() => (this.#running = undefined));
    return this.#running;
  }

  async #request(): Promise<CheckpointResult> {
    try {
      this.#worker ??= startWorker(this.#path);
      this.#worker.postMessage("copy");
      const [result]: CheckpointResult[] = await once(this.#worker, "message");
      if (result === undefined) throw new Error("The checkpoint thread answered nothing");
      this.#copiedPages = result.copiedPages;
      return result;
    } catch (error) {
      // A failed checkpoint loses nothing: the log keeps every page and the next one tries again.
      this.#log.error({ error }, "checkpoint failed");
      return { logPages: 0, copiedPages: this.#copiedPages };
    }
  }
}

function startWorker(path: string): Worker {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const script = new URL(`./checkpoint-worker.${extension}`, import.meta.url);
  const worker = new Worker(script, { workerData: path });
  worker.unref();
  return worker;
}
