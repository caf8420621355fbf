import type { UnitAnswer, UnitRequest } from "./units.ts";

/** A request that waits for its commit to be on disk. */
export interface WaitingRequest extends UnitRequest {
  readonly answer: (answer: UnitAnswer) => void;
}

/** What a writer did since the last reset. */
export interface WriterReport {
  readonly groups: number;
  readonly units: number;
  readonly checkpoints: number;
  /** The longest checkpoint that the writer could see from outside COMMIT; 0 when COMMIT does them. */
  readonly longestCheckpointMs: number;
  /** The longest time that commits waited for the log to be reset. */
  readonly longestPauseMs: number;
}

/** One arrangement of SQLite's writer. */
export interface Writer {
  /** Answers once the unit's commit is on disk. */
  submit(request: WaitingRequest): void;
  report(): WriterReport;
  reset(): void;
  close(): Promise<void>;
}

/** Counts that every arrangement keeps. */
export class WriterCounts {
  #counts = noCounts();

  countGroup(units: number): void {
    this.#counts.groups++;
    this.#counts.units += units;
  }

  countCheckpoint(durationMs: number): void {
    this.#counts.checkpoints++;
    this.#counts.longestCheckpointMs = Math.max(this.#counts.longestCheckpointMs, durationMs);
  }

  countPause(durationMs: number): void {
    this.#counts.longestPauseMs = Math.max(this.#counts.longestPauseMs, durationMs);
  }

  reset(): void {
    this.#counts = noCounts();
  }

  report(): WriterReport {
    return { ...this.#counts };
  }
}

function noCounts() {
  return { groups: 0, units: 0, checkpoints: 0, longestCheckpointMs: 0, longestPauseMs: 0 };
}
