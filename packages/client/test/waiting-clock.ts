import { ManualClock, until } from "@apiforge/testing";

/** The longest silence that clients of these tests allow; no wait of theirs is as long. */
export const timeoutMs = 3_600_000;

/** A clock of the tests that lets them wait for the client's waits. */
export class WaitingClock extends ManualClock {
  /** Every wait so far but the watchdogs', in milliseconds. */
  readonly waits: number[] = [];
  /** Watchdogs that were set so far. */
  watches = 0;

  override after(delayMs: number, callback: () => void) {
    if (delayMs === timeoutMs) this.watches += 1;
    else this.waits.push(delayMs);
    return super.after(delayMs, callback);
  }

  /** Waits until the client waits for the `count`th time, then lets that wait pass. */
  async pass(count: number): Promise<void> {
    await until(`wait number ${count}`, () => this.waits.length >= count);
    this.advance(this.waits[count - 1] ?? 0);
  }
}
