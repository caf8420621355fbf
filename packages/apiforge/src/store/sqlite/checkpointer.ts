import { once } from "node:events";
import { closeSync, fdatasync, openSync } from "node:fs";
import type { StatementSync } from "node:sqlite";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";

import type { Log } from "../../kernel/index.ts";
import type { CheckpointResult, CheckpointTask } from "./checkpoint-worker.ts";
import type { SqliteConnection } from "./connection.ts";

/**
 * Pages of the write-ahead log that are not in the database yet at which copying starts: 64 MiB of
 * 2 KiB pages. A page that many commits wrote is copied once: over 5,000,000 rows, copies of 16 MiB
 * left a tenth less throughput.
 */
const copyAtPages = 32_768;
/** Pages of the log at which it is to start over: 128 MiB. */
const restartAtPages = 65_536;
/** Pages that may be left to copy when writing pauses for the log to start over: 4 MiB. */
const pauseBelowPages = 2_048;
/** Pages past {@link restartAtPages} at which writing pauses, however many are left. */
const slackPages = 65_536;

const sync = promisify(fdatasync);

/**
 * Moves the log's pages into the database from a thread of its own, so that neither the copying
 * nor its fsyncs stall the event loop. PASSIVE checkpoints take no lock that a writer wants; under
 * steady writing they never reach the log's end, so from `restartAtPages` on they follow each other
 * until little is left, and the writer is held for that rest: its next commit starts the log over.
 * Holding it for whatever was left cost a fifth of the throughput over 5,000,000 rows, whose pages
 * are scattered. The file keeps its size: it is reused.
 */
export class Checkpointer {
  readonly #path: string;
  readonly #log: Log;
  readonly #measure: StatementSync;
  /** Started by the first copy: a small database never needs the thread and its 19 MB. */
  #worker: Worker | undefined;
  #file: number | undefined;
  #running: Promise<CheckpointResult> | undefined;
  #copiedPages = 0;
  #restartAtPages = restartAtPages;

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
    const leftPages = logPages - this.#copiedPages;
    const pastPages = logPages - this.#restartAtPages;
    if (pastPages >= slackPages || (pastPages >= 0 && leftPages <= pauseBelowPages))
      await this.#copyAll(logPages);
    else if (pastPages >= 0 || leftPages >= copyAtPages) void this.#copy();
  }

  async close(): Promise<void> {
    await this.#running;
    await this.#worker?.terminate();
  }

  /**
   * Closes the descriptor of the database file. Only after every connection is closed: closing any
   * descriptor of a file drops all POSIX locks of the process on it, SQLite's too.
   */
  closeFile(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #logStartedOver(): void {
    this.#copiedPages = 0;
    this.#restartAtPages = restartAtPages;
  }

  async #copyAll(logPages: number): Promise<void> {
    await this.#running;
    await this.#copy();
    // A long reader keeps the log from starting over; holding every group for it would help nobody.
    this.#restartAtPages = logPages + restartAtPages;
  }

  #copy(): Promise<CheckpointResult> {
    this.#running ??= this.#request().finally(() => (this.#running = undefined));
    return this.#running;
  }

  async #request(): Promise<CheckpointResult> {
    try {
      this.#worker ??= this.#startWorker();
      this.#worker.postMessage("copy");
      const answered = new AbortController();
      const answer = once(this.#worker, "message").finally(() => answered.abort());
      // Both are waited for: the descriptor may be closed afterwards.
      const [[result]]: [CheckpointResult[], void] = await Promise.all([
        answer,
        this.#syncUntil(answered.signal),
      ]);
      if (result === undefined) throw new Error("The checkpoint thread answered nothing");
      this.#copiedPages = result.copiedPages;
      return result;
    } catch (error) {
      // A failed checkpoint loses nothing: the log keeps every page and the next one tries again.
      this.#log.error({ error }, "checkpoint failed");
      return { logPages: 0, copiedPages: this.#copiedPages };
    }
  }

  /**
   * Brings the database to the disk while it is being copied, a few pages at a time: behind one sync
   * of 64 MiB a commit's own sync of the log waited 8 to 22 ms. Beside a batch, 11 of 2,950 writes
   * took more than 8 ms with this and 72 of 3,370 without. Nothing rests on it: before the log
   * starts over SQLite syncs the database by its own descriptor, which is told of every failure.
   */
  async #syncUntil(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted && this.#file !== undefined) await sync(this.#file);
    } catch (error) {
      this.#log.warn({ error }, "the database could not be synced ahead");
    }
  }

  #startWorker(): Worker {
    this.#file ??= openSync(this.#path, "r+");
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const script = new URL(`./checkpoint-worker.${extension}`, import.meta.url);
    const workerData: CheckpointTask = { path: this.#path, file: this.#file };
    const worker = new Worker(script, { workerData });
    worker.unref();
    return worker;
  }
}
