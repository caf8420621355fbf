import type { Clock, Log, Timer } from "../kernel/index.ts";
import type { Store } from "../store/index.ts";

/** Rows deleted by one commit, so that sweeping never holds up other writers. */
const sweepRows = 500;
const sweepChunks = 25;
/** Age of the last item of a batch whose sender never came to its end. */
const abandonedMs = 600_000;
/** Commits per visit; the rest waits for the next one. */
const sweepBatches = 20;

/** How long finished things are kept and how often they are swept. */
export interface Retention {
  /** Age at which an idempotency record is deleted. */
  readonly idempotencyMs: number;
  /** Age, from their end, at which completed jobs are deleted. Dead jobs stay until retried. */
  readonly completedJobMs: number;
  /** Age, from when it was recorded, at which a schedule's tick is deleted. */
  readonly tickMs: number;
  readonly everyMs: number;
}

/** Deletes what is past its retention, in small commits. */
export class Housekeeper {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #retention: Retention;
  readonly #bury: () => Promise<void>;
  #timer: Timer | undefined;
  #sweeping: Promise<void> | undefined;
  #stopped = true;

  /** @param bury ends what can never end by itself. */
  constructor(
    store: Store,
    clock: Clock,
    log: Log,
    retention: Retention,
    bury: () => Promise<void>,
  ) {
    this.#bury = bury;
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#retention = retention;
  }

  start(): void {
    this.#stopped = false;
    this.#timer = this.#clock.after(this.#retention.everyMs, () => {
      this.#sweeping = this.sweep().finally(() => {
        if (!this.#stopped) this.start();
      });
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#sweeping;
  }

  /** One visit; answers nothing and throws nothing: what could not be swept is swept later. */
  async sweep(): Promise<void> {
    const { idempotencyMs, completedJobMs, tickMs } = this.#retention;
    try {
      await this.#repeat(() => this.#store.idempotency.sweep(idempotencyMs, sweepRows));
      await this.#repeat(() => this.#store.upstreamCalls.sweep(idempotencyMs, sweepRows));
      await this.#repeat(() => this.#store.jobs.sweepEnded(completedJobMs, sweepRows));
      await this.#repeat(() => this.#store.schedules.sweepTicks(tickMs, sweepRows));
      await this.#repeat(() => this.#store.quotas.sweep(sweepRows));
      await this.#bury();
      await this.#sweepBatches();
    } catch (error) {
      this.#log.warn({ error }, "sweeping failed; trying again later");
    }
  }

  /** A chunk is a large row, so fewer go with one commit. */
  async #sweepBatches(): Promise<void> {
    for (let batch = 0; batch < sweepBatches; batch++) {
      if ((await this.#store.batches.sweep(abandonedMs, sweepChunks)) === 0) return;
    }
  }

  async #repeat(sweepOnce: () => Promise<number>): Promise<void> {
    for (let batch = 0; batch < sweepBatches; batch++) {
      if ((await sweepOnce()) < sweepRows) return;
    }
  }
}
