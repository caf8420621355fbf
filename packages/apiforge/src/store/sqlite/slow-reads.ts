/** A statement that keeps the event loop busy for longer moves its reads to threads. */
const slowStatementMs = 20;
/** Reads in a row, none with a slow statement, after which a label comes back; twice as many each time. */
const firstTrial = 50;
const longestTrial = 10_000;

interface SlowLabel {
  /** Reads in a row that came back at once are counted up to this. */
  trial: number;
  quick: number;
  isSlow: boolean;
}

/**
 * Which labels read in threads: those of which a statement has stalled the event loop, until so many
 * of their reads in a row were quick that the stall was not theirs (another process had the processor,
 * the disk was slow for a moment), or is over.
 */
export class SlowReads {
  readonly #labels = new Map<string, SlowLabel>();

  has(label: string): boolean {
    return this.#labels.get(label)?.isSlow === true;
  }

  /** A statement of `label` held the event loop for so long; true when that moves the label. */
  stalled(label: string, elapsedMs: number): boolean {
    if (elapsedMs < slowStatementMs) return false;
    const known = this.#labels.get(label);
    if (known?.isSlow === true) return false;
    const trial = known === undefined ? firstTrial : Math.min(longestTrial, 2 * known.trial);
    this.#labels.set(label, { trial, quick: 0, isSlow: true });
    return true;
  }

  /** A read of `label` in a thread is over, the slowest of its statements took so long. */
  finished(label: string, slowestMs: number): void {
    const known = this.#labels.get(label);
    if (known === undefined) return;
    known.quick = slowestMs < slowStatementMs ? known.quick + 1 : 0;
    if (known.quick >= known.trial) known.isSlow = false;
  }
}
