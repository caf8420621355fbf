/** A statement that keeps the event loop busy for longer has stalled it. */
const slowStatementMs = 20;
/**
 * Longer, and the label moves at once. A shorter stall may be the machine's (44 ms were seen for a read
 * of 0.1 ms beside 30 busy processes), so it takes two of them, not further apart than these reads.
 */
const surelySlowMs = 200;
const readsBetween = 50;
/** Reads in a row, none with a slow statement, after which a label comes back; twice as many each time. */
const firstTrial = 50;
const longestTrial = 10_000;

interface SlowLabel {
  /** Reads on the main thread for which one more stall moves the label; 0 when it has not stalled lately. */
  suspect: number;
  /** Reads in a row that came back at once are counted up to this. */
  trial: number;
  quick: number;
  isSlow: boolean;
}

/**
 * Which labels read in threads: those whose statements have stalled the event loop, until so many of
 * their reads in a row were quick that the stalls were not theirs, or are over.
 */
export class SlowReads {
  readonly #labels = new Map<string, SlowLabel>();

  has(label: string): boolean {
    return this.#labels.get(label)?.isSlow === true;
  }

  /** A statement of `label` on the main thread took so long; true when that moves the label. */
  ran(label: string, elapsedMs: number): boolean {
    const known = this.#labels.get(label);
    if (elapsedMs < slowStatementMs) {
      if (known !== undefined && known.suspect > 0) known.suspect -= 1;
      return false;
    }
    if (known?.isSlow === true) return false;
    if (elapsedMs < surelySlowMs && (known === undefined || known.suspect === 0)) {
      const trial = known?.trial ?? firstTrial / 2;
      this.#labels.set(label, { suspect: readsBetween, trial, quick: 0, isSlow: false });
      return false;
    }
    const trial = Math.min(longestTrial, 2 * (known?.trial ?? firstTrial / 2));
    this.#labels.set(label, { suspect: 0, trial, quick: 0, isSlow: true });
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
