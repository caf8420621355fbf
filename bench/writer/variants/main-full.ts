import { openUnits } from "../units.ts";
import { WriterCounts, type WaitingRequest, type Writer } from "../writer.ts";

/**
 * The writer on the main thread, synchronous=FULL: COMMIT syncs before it returns, and the event
 * loop stands still meanwhile. Requests that arrived in one turn of the loop share a commit.
 */
export function openMainFull(path: string, autoCheckpointPages: number): Writer {
  const units = openUnits(path, "FULL", autoCheckpointPages);
  const counts = new WriterCounts();
  let waiting: WaitingRequest[] = [];

  function commitWaiting(): void {
    const group = waiting;
    waiting = [];
    const answers = units.runGroup(group);
    counts.countGroup(group.length);
    answers.forEach((answer, index) => group[index]?.answer(answer));
  }

  return {
    submit: (request) => {
      if (waiting.push(request) === 1) setImmediate(commitWaiting);
    },
    report: () => counts.report(),
    reset: () => counts.reset(),
    close: async () => units.database.close(),
  };
}
