import type { Clock, Log } from "../../kernel/index.ts";
import type { ClaimedJob, JobSettlement, JobStore } from "../../store/index.ts";

const retryMs = 500;

/** How a lease on a job ended. */
export interface JobEnd {
  readonly job: ClaimedJob;
  readonly settlement: JobSettlement;
}

/**
 * Writes the ends of attempts in batches: what finishes while one batch is being committed makes
 * the next. A store that is away does not fail the jobs; their ends wait until it is back.
 */
export class SettlementBuffer {
  readonly #jobs: JobStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onStored: (end: JobEnd, isHeld: boolean) => void;
  #ends: JobEnd[] = [];
  #flushing: Promise<void> | undefined;
  #stopped = false;

  /** @param onStored called once an end is committed, with whether the lease was still held. */
  constructor(
    jobs: JobStore,
    clock: Clock,
    log: Log,
    onStored: (end: JobEnd, isHeld: boolean) => void,
  ) {
    this.#onStored = onStored;
    this.#jobs = jobs;
    this.#clock = clock;
    this.#log = log;
  }

  add(end: JobEnd): void {
    this.#ends.push(end);
    this.#flushing ??= this.#flush();
  }

  /** Writes what is left, once: what cannot be written now runs again when its lease ends. */
  async drain(): Promise<void> {
    this.#stopped = true;
    await this.#flushing;
  }

  async #flush(): Promise<void> {
    // Attempts that end in the same turn of the event loop share a batch.
    await Promise.resolve();
    while (this.#ends.length > 0) {
      const batch = this.#ends;
      this.#ends = [];
      try {
        const held = await this.#jobs.settle(batch.map(({ settlement }) => settlement));
        for (const [index, end] of batch.entries()) this.#onStored(end, held[index] ?? false);
      } catch (error) {
        this.#log.warn(
          { error, jobs: batch.length },
          "job results could not be stored; trying again",
        );
        if (this.#stopped) break;
        this.#ends = [...batch, ...this.#ends];
        await new Promise<void>((resume) => void this.#clock.after(retryMs, resume));
      }
    }
    // In the same turn as the last look at the ends: one that came in between would stay.
    this.#flushing = undefined;
  }
}
