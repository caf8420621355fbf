import type { Clock, Timer } from "../../kernel/index.ts";
import type { ClaimedJob } from "../../store/index.ts";

/** A leased job that has not begun. */
export interface HeldJob {
  readonly job: ClaimedJob;
  /** The start that the rate of its lane leaves to it. */
  readonly startAt: number | null;
  readonly deadlineAt: number | null;
}

/**
 * Jobs that a worker has leased and not begun, first first. Keyed ones and others take turns, so
 * that a backlog claimed ahead delays no lane; one whose start is to come waits for it apart.
 */
export class HeldJobs {
  readonly #clock: Clock;
  readonly #onDue: () => void;
  #plain: HeldJob[] = [];
  #keyed: HeldJob[] = [];
  readonly #early = new Map<HeldJob, Timer>();
  #keyedFirst = true;

  /** @param onDue called when a job's start has come. */
  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#plain.length + this.keyed;
  }

  /** Those with a key. */
  get keyed(): number {
    return this.#keyed.length + this.#early.size;
  }

  add(jobs: readonly ClaimedJob[]): void {
    const now = this.#clock.now();
    for (const job of jobs) {
      const { key, startInMs, deadlineInMs } = job;
      const startAt = startInMs === null ? null : now + startInMs;
      const held = { job, startAt, deadlineAt: deadlineInMs === null ? null : now + deadlineInMs };
      if (key === null) this.#plain.push(held);
      else if (startInMs !== null && startInMs > 0) this.#delay(held, startInMs);
      else this.#keyed.push(held);
    }
  }

  /** The one to begin next. */
  next(): HeldJob | undefined {
    const [first, second] = this.#keyedFirst
      ? [this.#keyed, this.#plain]
      : [this.#plain, this.#keyed];
    this.#keyedFirst = !this.#keyedFirst;
    return first.shift() ?? second.shift();
  }

  /** Takes out those that `wanted` names. */
  remove(wanted: (job: ClaimedJob) => boolean): readonly ClaimedJob[] {
    const isWanted = ({ job }: HeldJob): boolean => wanted(job);
    const early = [...this.#early.keys()].filter(isWanted);
    const removed = [...this.#plain.filter(isWanted), ...this.#keyed.filter(isWanted), ...early];
    for (const held of early) this.#cancel(held);
    this.#plain = this.#plain.filter((held) => !isWanted(held));
    this.#keyed = this.#keyed.filter((held) => !isWanted(held));
    return removed.map(({ job }) => job);
  }

  #delay(held: HeldJob, delayMs: number): void {
    const timer = this.#clock.after(delayMs, () => {
      this.#early.delete(held);
      this.#keyed.push(held);
      this.#onDue();
    });
    this.#early.set(held, timer);
  }

  #cancel(held: HeldJob): void {
    this.#early.get(held)?.cancel();
    this.#early.delete(held);
  }
}
