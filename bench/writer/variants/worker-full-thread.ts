import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { openUnits } from "../units.ts";
import type { AnswerBatch, RequestBatch } from "./worker-full.ts";

if (parentPort === null) throw new Error("Runs as a worker thread only.");
const port = parentPort;
const { path, autoCheckpointPages }: { path: string; autoCheckpointPages: number } = workerData;
const units = openUnits(path, "FULL", autoCheckpointPages);
port.postMessage("ready");

port.on("message", (first: RequestBatch | "close") => {
  const batches: RequestBatch[] = [];
  let closing = false;
  // What arrived during the last commit is already queued: one commit takes all of it.
  for (
    let received: { message: RequestBatch | "close" } | undefined = { message: first };
    received !== undefined;
    received = receiveMessageOnPort(port)
  ) {
    if (received.message === "close") closing = true;
    else batches.push(received.message);
  }
  if (batches.length > 0) commitBatches(batches);
  if (closing) {
    units.database.close();
    port.close();
  }
});

function commitBatches(batches: readonly RequestBatch[]): void {
  const ids = batches.flatMap((batch) => batch.ids);
  const requests = batches.flatMap((batch) =>
    batch.keys.map((key, index) => ({ key, body: batch.bodies[index] ?? "" })),
  );
  const answers: AnswerBatch = { ids, answers: units.runGroup(requests) };
  port.postMessage(answers);
}
