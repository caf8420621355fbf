import type { Clock, Log } from "../../kernel/index.ts";
import type { JobSettlement, JobStore } from "../../store/index.ts";

const retryMs = 500;

interface Entry {
  readonly settlement: JobSettlement;
  resolve(held: boolean): void;
}

/**
 * Writes the ends of attempts in batches: what finishes while one batch is being committed makes
 * the next. A store that is away does not fail the jobs; their ends wait until it is back.
 */
export class SettlementBuffer {
  readonly #jobs: JobStore;
  readonly #clock: Clock;
  readonly #log: Log;
  #entries: Entry[] = [];
  #flushing: Promise<void> | undefined;
  #stopped = false;

  constructor(jobs: JobStore, clock: Clock, log: Log) {
    this.#jobs = jobs;
    this.#clock = clock;
    this.#log = log;
  }

  /** Resolves once the end is committed: true when the lease was still held. */
  add(settlement: JobSettlement): Promise<boolean> {
    return new Promise((resolve) => {
      this.#entries.push({ settlement, resolve });
      this.#flushing ??= this.#flush();
    });
  }

  /** Writes what is left, once: what cannot be written now runs again when its lease ends. */
  async drain(): Promise<void> {
    this.#stopped = true;
    await this.#flushing;
  }

  async #flush(): Promise<void> {
    // Attempts that end in the same turn of the event loop share a batch.
    await Promise.resolve();
    while (this.#entries.length > 0) {
      const batch = this.#entries;
      this.#entries = [];
      try {
        const held = await this.#jobs.settle(batch.map((entry) => entry.settlement));
        batch.forEach((entry, index) => entry.resolve(held[index] ?? false));
      } catch (error) {
        this.#log.warn(
          { error, jobs: batch.length },
          "job results could not be stored; trying again",
        );
        if (this.#stopped) break;
        this.#entries = [...batch, ...this.#entries];
        await new Promise<void>((resume) => void this.#clock.after(retryMs, resume));
      }
    }
    // In the same turn as the last look at the entries: one that came in between would stay.
    this.#flushing = undefined;
  }
}
