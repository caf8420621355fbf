/*
 * Preloaded into a server process under test (`node --import`). It pauses the process at the point
 * that APIFORGE_CRASH_POINT names, from the signal on, and ends it when the test process is gone.
 */
import { writeSync } from "node:fs";
import { onPoint } from "apiforge/internal/kernel";
import {
  armedLine,
  armSignal,
  crashPointVariable,
  parsePausePoint,
  pausedLine,
} from "./crash-point.ts";

const parentCheckMs = 1_000;
const parentPid = process.ppid;

function dieWithoutParent(): void {
  if (process.ppid !== parentPid) process.kill(process.pid, "SIGKILL");
}

/** Writes to stdout before it returns: nothing of the process may run on once a point is reached. */
function writeLine(line: string): void {
  let rest = Buffer.from(`${line}\n`);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      // A full pipe that does not block; the test process is about to read it.
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    }
  }
}

/** Stops this thread for good; worker threads and system calls already under way go on. */
function block(): void {
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    Atomics.wait(never, 0, 0, parentCheckMs);
    dieWithoutParent();
  }
}

function pauseAt(wanted: { readonly point: string; readonly nth: number }): void {
  let reached = 0;
  onPoint((point) => {
    if (point !== wanted.point) return;
    reached += 1;
    if (reached < wanted.nth) return;
    writeLine(pausedLine(point));
    block();
  });
}

// A process that a server started for its work ends in order when that is gone, which tests look at.
const isSupervised = process.env["APIFORGE_PROCESS"] !== undefined;
if (!isSupervised) setInterval(dieWithoutParent, parentCheckMs).unref();
const pausePoint = process.env[crashPointVariable];
if (pausePoint !== undefined) {
  const wanted = parsePausePoint(pausePoint);
  process.once(armSignal, () => {
    pauseAt(wanted);
    writeLine(armedLine);
  });
}
