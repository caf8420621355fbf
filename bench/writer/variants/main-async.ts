import { closeSync, fdatasync, openSync } from "node:fs";
import { openUnits, type UnitAnswer } from "../units.ts";
import { WriterCounts, type WaitingRequest, type Writer } from "../writer.ts";
import { CheckpointThread } from "./checkpoint-thread.ts";

/** Who copies the log into the database file. */
export type CheckpointPolicy =
  /** COMMIT itself, once the log has `checkpointPages`. */
  | "writer"
  /** A worker thread's own connection, passively, whenever that many pages wait. */
  | "worker"
  /** As `worker`, and commits wait for a last pass once the log has `pausePages`, so that it restarts. */
  | "worker-pause"
  /** Nobody. */
  | "none";

/** How the asynchronous writer works. */
export interface MainAsyncOptions {
  /** Commit the next group while the sync of the last one runs, instead of when it has ended. */
  readonly overlap: boolean;
  /** Syncs that may run at once; more than one only helps with `overlap`. */
  readonly maxSyncs: number;
  readonly checkpoint: CheckpointPolicy;
  readonly checkpointPages: number;
  readonly pausePages: number;
}

interface CommittedGroup {
  readonly requests: readonly WaitingRequest[];
  readonly answers: readonly UnitAnswer[];
}

/**
 * The writer on the main thread, synchronous=NORMAL: COMMIT only writes to the log. One fdatasync
 * of the log on the thread pool then covers every group committed so far, and their answers leave
 * after it. A failed sync ends the process: the kernel may have dropped the pages it failed on.
 */
export function openMainAsync(path: string, options: MainAsyncOptions): Writer {
  return new MainAsyncWriter(path, options);
}

class MainAsyncWriter implements Writer {
  readonly #units;
  readonly #options: MainAsyncOptions;
  readonly #counts = new WriterCounts();
  readonly #checkpoints: CheckpointThread | undefined;
  /** One descriptor per sync that may run: Linux reports a failed write-back once per descriptor. */
  readonly #idleLogFiles: number[];
  readonly #logState;
  #waiting: WaitingRequest[] = [];
  #unsynced: CommittedGroup[] = [];
  #scheduled = false;
  #paused = false;

  constructor(path: string, options: MainAsyncOptions) {
    this.#options = options;
    const autoCheckpointPages = options.checkpoint === "writer" ? options.checkpointPages : 0;
    this.#units = openUnits(path, "NORMAL", autoCheckpointPages);
    // Only the log may be opened a second time: closing another descriptor of the database or of
    // its shared memory would drop SQLite's locks on them.
    this.#idleLogFiles = Array.from({ length: options.maxSyncs }, () =>
      openSync(`${path}-wal`, "r+"),
    );
    this.#logState = this.#units.database.prepare("pragma wal_checkpoint(noop)");
    if (options.checkpoint === "worker" || options.checkpoint === "worker-pause") {
      this.#checkpoints = new CheckpointThread(path);
    }
  }

  submit(request: WaitingRequest): void {
    this.#waiting.push(request);
    this.#schedule();
  }

  report() {
    return this.#counts.report();
  }

  reset(): void {
    this.#counts.reset();
  }

  async close(): Promise<void> {
    await this.#checkpoints?.close();
    this.#units.database.close();
    for (const logFile of this.#idleLogFiles) closeSync(logFile);
  }

  #schedule(): void {
    const syncing = this.#idleLogFiles.length < this.#options.maxSyncs;
    const held = this.#paused || (syncing && !this.#options.overlap);
    if (held || this.#scheduled || this.#waiting.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.#paused) this.#commitWaiting();
    });
  }

  #commitWaiting(): void {
    const requests = this.#waiting;
    this.#waiting = [];
    const answers = this.#units.runGroup(requests);
    this.#counts.countGroup(requests.length);
    this.#unsynced.push({ requests, answers });
    this.#sync();
    this.#checkpointWhenDue();
  }

  #sync(): void {
    if (this.#unsynced.length === 0) return;
    const logFile = this.#idleLogFiles.pop();
    if (logFile === undefined) return;
    const covered = this.#unsynced;
    this.#unsynced = [];
    fdatasync(logFile, (error) => {
      if (error !== null) throw error;
      this.#idleLogFiles.push(logFile);
      this.#sync();
      for (const { requests, answers } of covered) {
        answers.forEach((answer, index) => requests[index]?.answer(answer));
      }
      this.#schedule();
    });
  }

  #checkpointWhenDue(): void {
    const thread = this.#checkpoints;
    if (thread === undefined || thread.busy) return;
    const { pages, copied } = this.#readLogState();
    if (pages - copied < this.#options.checkpointPages) return;
    void this.#checkpoint(thread);
  }

  async #checkpoint(thread: CheckpointThread): Promise<void> {
    await this.#runCheckpoint(thread);
    const { pages } = this.#readLogState();
    if (this.#options.checkpoint !== "worker-pause" || pages < this.#options.pausePages) return;
    // The log restarts only when a commit finds all of it copied, which never happens while
    // commits keep coming: a short second pass with no commits meanwhile makes it so.
    const startedAt = performance.now();
    this.#paused = true;
    await this.#runCheckpoint(thread);
    this.#paused = false;
    this.#counts.countPause(performance.now() - startedAt);
    this.#schedule();
  }

  async #runCheckpoint(thread: CheckpointThread): Promise<void> {
    this.#counts.countCheckpoint(await thread.run());
  }

  #readLogState(): { pages: number; copied: number } {
    const state = this.#logState.get();
    return { pages: Number(state?.log), copied: Number(state?.checkpointed) };
  }
}
