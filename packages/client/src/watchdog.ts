import type { Clock, Timer } from "./clock.ts";

/** Aborts an exchange in which the other side has been silent for too long. */
export class Watchdog {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #silence = new AbortController();
  readonly #caller: AbortSignal | undefined;
  #timer: Timer | undefined;
  /** Aborted by the silence or by the caller. */
  readonly signal: AbortSignal;

  /** Starts to watch. `limitMs` is the longest silence. */
  constructor(clock: Clock, limitMs: number, caller: AbortSignal | undefined) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#caller = caller;
    this.signal =
      caller === undefined ? this.#silence.signal : AbortSignal.any([caller, this.#silence.signal]);
    this.watch();
  }

  /** The other side has now `limitMs` to say something. */
  watch(): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(this.#limitMs, () => this.#silence.abort());
  }

  /** The other side has spoken; until the next {@link watch} the silence is ours. */
  rest(): void {
    this.#timer?.cancel();
  }

  get hasBarked(): boolean {
    return this.#silence.signal.aborted && this.#caller?.aborted !== true;
  }

  get limitMs(): number {
    return this.#limitMs;
  }
}
