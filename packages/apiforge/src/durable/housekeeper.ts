import type { Clock, Log, Timer } from "../kernel/index.ts";
import type { Store } from "../store/index.ts";

/** Rows deleted by one commit, so that sweeping never holds up other writers: 2 ms for jobs, 6 ms for answers. */
const pieceRows = 500;
/** A chunk is a large row, so fewer go with one commit. */
const pieceChunks = 25;
/** Age of the last item of a batch whose sender never came to its end. */
const abandonedMs = 600_000;
/** A pause is as long as the piece before it: sweeping has half of the time at most, which is 20,000 rows/s. */
const pauseShare = 1;

/** How long finished things are kept and how often they are swept. */
export interface Retention {
  /** Age at which an idempotency record is deleted. */
  readonly idempotencyMs: number;
  /** Age, from their end, at which completed jobs are deleted. Dead jobs stay until retried. */
  readonly completedJobMs: number;
  /** Age, from when it was recorded, at which a schedule's tick is deleted. */
  readonly tickMs: number;
  /** Age at which an event is deleted, seen by all consumers or not. */
  readonly eventMs: number;
  /** From the beginning of a visit to that of the next, or to its own end. */
  readonly everyMs: number;
}

/** Where the housekeeper sweeps. */
export interface SweptStore {
  readonly idempotency: Pick<Store["idempotency"], "sweep">;
  readonly upstreamCalls: Pick<Store["upstreamCalls"], "sweep">;
  readonly jobs: Pick<Store["jobs"], "sweepEnded">;
  readonly schedules: Pick<Store["schedules"], "sweepTicks">;
  readonly events: Pick<Store["events"], "sweep">;
  readonly quotas: Pick<Store["quotas"], "sweep">;
  readonly batches: Pick<Store["batches"], "sweep">;
}

/** What is deleted together. */
interface Sweep {
  readonly of: string;
  /** Deletes some, in one commit; answers how many. */
  once(): Promise<number>;
  /** So many or more: there may be others. */
  readonly full: number;
}

/**
 * Deletes what is past its retention, a piece at a time: a visit ends when nothing is left of any kind, however
 * much has come together.
 */
export class Housekeeper {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #everyMs: number;
  readonly #sweeps: readonly Sweep[];
  #timer: Timer | undefined;
  #resume: (() => void) | undefined;
  #visiting: Promise<void> | undefined;
  #isStopped = true;

  /** @param bury ends what can never end by itself. */
  constructor(
    store: SweptStore,
    clock: Clock,
    log: Log,
    retention: Retention,
    bury: () => Promise<void>,
  ) {
    this.#clock = clock;
    this.#log = log;
    this.#everyMs = retention.everyMs;
    this.#sweeps = sweepsOf(store, retention, bury);
  }

  start(): void {
    this.#isStopped = false;
    this.#visitAfter(this.#everyMs);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#resume?.();
    await this.#visiting;
  }

  #visitAfter(waitMs: number): void {
    this.#timer = this.#clock.after(waitMs, () => {
      const beganAt = this.#elapsed();
      this.#visiting = this.#visit().finally(() => {
        const tookMs = Math.max(0, this.#elapsed() - beganAt);
        if (!this.#isStopped) this.#visitAfter(Math.max(1, this.#everyMs - tookMs));
      });
    });
  }

  /** Goes round, so that no kind waits for the end of another. */
  async #visit(): Promise<void> {
    let due = this.#sweeps;
    while (due.length > 0) {
      const more: Sweep[] = [];
      for (const sweep of due) {
        if (await this.#isMoreLeft(sweep)) more.push(sweep);
        if (this.#isStopped) return;
      }
      due = more;
    }
  }

  /** Deletes a piece, and pauses after a full one. What could not be swept is swept at the next visit. */
  async #isMoreLeft(sweep: Sweep): Promise<boolean> {
    const beganAt = this.#elapsed();
    try {
      if ((await sweep.once()) < sweep.full) return false;
    } catch (error) {
      this.#log.warn({ error, of: sweep.of }, "sweeping failed; trying again later");
      return false;
    }
    if (!this.#isStopped) await this.#pause((this.#elapsed() - beganAt) * pauseShare);
    return true;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = resolve;
      this.#timer = this.#clock.after(Math.max(1, ms), resolve);
    });
  }

  #elapsed(): number {
    return this.#clock.elapsed?.() ?? this.#clock.now();
  }
}

function sweepsOf(
  store: SweptStore,
  retention: Retention,
  bury: () => Promise<void>,
): readonly Sweep[] {
  const { idempotencyMs, completedJobMs, tickMs, eventMs } = retention;
  const rows = (of: string, once: () => Promise<number>): Sweep => ({ of, once, full: pieceRows });
  return [
    rows("answers", () => store.idempotency.sweep(idempotencyMs, pieceRows)),
    rows("calls of upstreams", () => store.upstreamCalls.sweep(idempotencyMs, pieceRows)),
    rows("jobs", () => store.jobs.sweepEnded(completedJobMs, pieceRows)),
    rows("ticks", () => store.schedules.sweepTicks(tickMs, pieceRows)),
    rows("events", () => store.events.sweep(eventMs, pieceRows)),
    rows("quotas", () => store.quotas.sweep(pieceRows)),
    rows("dead chunks", () => bury().then(() => 0)),
    { of: "batches", once: () => store.batches.sweep(abandonedMs, pieceChunks), full: 1 },
  ];
}
