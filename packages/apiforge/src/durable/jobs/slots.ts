/** How many attempts of one queue run at once in this process. */
export interface QueueSlots {
  /** Most of them. */
  readonly concurrency: number;
  /** Slots that no other queue takes, out of those that all queues have together. */
  readonly reserved: number;
}

/**
 * The slots in which a process runs attempts. Every queue has its reserved ones; the rest of the
 * total goes to whoever comes first, so a queue with reservations always has headroom and no other
 * can starve it.
 */
export class Slots {
  readonly #shared: number;
  readonly #queues: ReadonlyMap<string, QueueSlots>;
  readonly #taken = new Map<string, number>();

  /**
   * @param total attempts of all queues that run at once; infinite leaves each queue its own limit.
   * @throws {RangeError} when a number is out of range or more is reserved than there is.
   */
  constructor(total: number, queues: ReadonlyMap<string, QueueSlots>) {
    let reserved = 0;
    for (const [queue, slots] of queues) {
      requireSlots(queue, slots);
      reserved += slots.reserved;
    }
    if (reserved > total) {
      throw new RangeError(`Queues reserve ${reserved} slots of ${total}; raise the total`);
    }
    this.#shared = total - reserved;
    this.#queues = queues;
  }

  /** Attempts that `queue` may begin now. */
  free(queue: string): number {
    const { concurrency, reserved } = this.#of(queue);
    const taken = this.#takenBy(queue);
    const shared = Math.max(0, this.#shared - this.#sharedTaken());
    return Math.max(0, Math.min(concurrency - taken, Math.max(0, reserved - taken) + shared));
  }

  take(queue: string): void {
    this.#taken.set(queue, this.#takenBy(queue) + 1);
  }

  give(queue: string): void {
    this.#taken.set(queue, this.#takenBy(queue) - 1);
  }

  #sharedTaken(): number {
    let sum = 0;
    for (const [queue, taken] of this.#taken) sum += Math.max(0, taken - this.#of(queue).reserved);
    return sum;
  }

  #takenBy(queue: string): number {
    return this.#taken.get(queue) ?? 0;
  }

  #of(queue: string): QueueSlots {
    return this.#queues.get(queue) ?? { concurrency: 0, reserved: 0 };
  }
}

function requireSlots(queue: string, { concurrency, reserved }: QueueSlots): void {
  const isValid = Number.isInteger(concurrency) && Number.isInteger(reserved) && concurrency >= 0;
  if (isValid && reserved >= 0 && reserved <= concurrency) return;
  throw new RangeError(
    `Queue ${queue}: concurrency ${concurrency} and reserved ${reserved} must be whole numbers, and no more reserved than may run`,
  );
}
