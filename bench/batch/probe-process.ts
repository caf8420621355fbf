import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { constants, setPriority } from "node:os";
import { fileURLToPath } from "node:url";

import { percentile } from "../measure/statistics.ts";

/** What the probe is to send from now on. */
export interface ProbeCommand {
  readonly url: string;
  /** The batch whose status is read. */
  readonly batchId: string;
  readonly writesPerSecond: number;
  readonly readsPerSecond: number;
}

/** What the probe measured: latencies in milliseconds, and how late its own event loop was. */
export interface ProbeReport {
  readonly writes: readonly number[];
  readonly reads: readonly number[];
  readonly ownDelayP99Ms: number;
}

/** One phase in short; milliseconds. */
export interface ProbeSummary {
  readonly writes: number;
  readonly writeP50Ms: number;
  readonly writeP99Ms: number;
  readonly readP50Ms: number;
  readonly readP99Ms: number;
  /** Delay of the probe's own event loop: what of the latencies is the tool's. */
  readonly ownDelayP99Ms: number;
}

/** The probe as a process of its own. */
export class Probe {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(): Promise<Probe> {
    const child = fork(fileURLToPath(new URL("./probe.ts", import.meta.url)));
    await once(child, "message");
    preferred(child);
    return new Probe(child);
  }

  begin(command: ProbeCommand): void {
    this.#child.send(command);
  }

  async end(): Promise<ProbeSummary> {
    this.#child.send("stop");
    // The only message that the probe sends after its start.
    const [report] = (await once(this.#child, "message")) as [ProbeReport];
    return summary(report);
  }

  stop(): void {
    this.#child.kill();
  }
}

/**
 * A client would not wait for the server's processors: with three busy processes on two of them it
 * was up to 5 ms late. Raising a priority takes root; `ownDelayP99Ms` tells what is left.
 */
function preferred({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_HIGHEST);
  } catch {
    console.warn("The probe has no priority: run as root, or take its delay off the latencies.");
  }
}

function summary({ writes, reads, ownDelayP99Ms }: ProbeReport): ProbeSummary {
  return {
    writes: writes.length,
    writeP50Ms: round(percentile(writes, 50)),
    writeP99Ms: round(percentile(writes, 99)),
    readP50Ms: round(percentile(reads, 50)),
    readP99Ms: round(percentile(reads, 99)),
    ownDelayP99Ms: round(ownDelayP99Ms),
  };
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
