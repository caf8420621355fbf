import { fdatasyncSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

/** What the thread is started with. */
export interface CheckpointTask {
  readonly path: string;
  /** Descriptor of the database file. */
  readonly file: number;
}

/** How far a checkpoint came, in pages of the log. */
export interface CheckpointResult {
  readonly logPages: number;
  readonly copiedPages: number;
}

const port = parentPort;
if (port === null) throw new Error("checkpoint-worker runs in a worker thread only");

const { path, file }: CheckpointTask = workerData;
const database = new DatabaseSync(path, { timeout: 0 });
// FULL: the log is synced before its pages are copied and the database after, in this thread.
database.exec("pragma synchronous = 2; pragma wal_autocheckpoint = 0; pragma cache_size = -1024");
const checkpoint = database.prepare("pragma wal_checkpoint(passive)");

port.on("message", () => {
  port.postMessage(copy());
});

function copy(): CheckpointResult {
  try {
    const row = checkpoint.get();
    // SQLite syncs the database only once all of the log is copied, while the writer waits for it:
    // 240 ms for 128 MiB of scattered pages. Synced copy by copy, little is left for that moment.
    fdatasyncSync(file);
    return { logPages: Number(row?.["log"] ?? 0), copiedPages: Number(row?.["checkpointed"] ?? 0) };
  } catch {
    // Disk full or busy: nothing was lost and the caller tries again after the next growth.
    return { logPages: 0, copiedPages: 0 };
  }
}
