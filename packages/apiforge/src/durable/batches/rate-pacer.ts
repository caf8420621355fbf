import { durationMs, type Clock } from "../../kernel/index.ts";
import type { BatchRecord, RateStore } from "../../store/index.ts";
import type { BatchDefinition, BatchRate } from "./definition.ts";

/** How far ahead slots are reserved: what a process that dies may waste. */
const withinMs = 2_000;
/** A slot that is missed by more is lost: used late, it would crowd the one after it. */
const toleranceMs = 50;

/** What a pacer is made of. */
export interface PacerParts {
  readonly rates: RateStore;
  readonly clock: Clock;
  /** Who shares the rate. */
  readonly name: string;
  readonly rate: BatchRate;
  /** Ends every wait. */
  readonly signal: AbortSignal;
}

/** Hands out the shared slots of a rate to the items of one chunk. */
export class RatePacer {
  readonly #rates: RateStore;
  readonly #clock: Clock;
  readonly #name: string;
  readonly #signal: AbortSignal;
  readonly #spacingMs: number;
  #slots = 0;
  #nextAt = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ rates, clock, name, rate, signal }: PacerParts) {
    this.#rates = rates;
    this.#clock = clock;
    this.#name = name;
    this.#signal = signal;
    this.#spacingMs = durationMs(rate.per) / rate.limit;
  }

  /**
   * Resolves when one of up to `wanted` items may begin; answers 0 then, else the milliseconds
   * after which it is worth asking again.
   */
  next(wanted: number): Promise<number> {
    const turn = this.#turn.then(() => this.#take(wanted));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #take(wanted: number): Promise<number> {
    while (!this.#signal.aborted) {
      if (this.#slots === 0) {
        const laterMs = await this.#reserve(wanted);
        if (laterMs > 0) return laterMs;
      }
      const slotAt = this.#nextAt;
      this.#slots -= 1;
      this.#nextAt += this.#spacingMs;
      const waitMs = slotAt - this.#clock.now();
      if (waitMs < -toleranceMs) continue;
      if (waitMs > 0) await this.#wait(waitMs);
      return 0;
    }
    return 0;
  }

  async #reserve(wanted: number): Promise<number> {
    const slots = Math.min(wanted, Math.ceil(withinMs / this.#spacingMs));
    const { granted, firstInMs } = await this.#rates.reserve(
      this.#name,
      slots,
      this.#spacingMs,
      withinMs,
    );
    if (granted === 0) return Math.max(1, firstInMs);
    this.#slots = granted;
    this.#nextAt = this.#clock.now() + firstInMs;
    return 0;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = this.#clock.after(Math.ceil(ms), end);
      this.#signal.addEventListener("abort", end, { once: true });
    });
  }
}

/** Under which name the rate of a batch is shared. */
export function rateName(definition: BatchDefinition, rate: BatchRate, batch: BatchRecord): string {
  return `batch:${definition.name}:${rate.key?.(batch) ?? batch.tenant}`;
}
