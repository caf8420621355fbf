import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

if (parentPort === null) throw new Error("Runs as a worker thread only.");
const port = parentPort;
const { path }: { path: string } = workerData;
const database = new DatabaseSync(path);
// The setting is per connection; NORMAL syncs the log before a checkpoint and the database after it.
database.exec("pragma synchronous=normal; pragma wal_autocheckpoint=0");
const checkpoint = database.prepare("pragma wal_checkpoint(passive)");

port.on("message", (message: "checkpoint" | "close") => {
  if (message === "close") {
    database.close();
    port.close();
    return;
  }
  const startedAt = performance.now();
  checkpoint.get();
  port.postMessage(performance.now() - startedAt);
});
