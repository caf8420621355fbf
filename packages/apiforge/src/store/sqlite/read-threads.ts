import type { Timer } from "../../kernel/index.ts";
import { storeError } from "../errors.ts";
import { ReadThread } from "./read-thread.ts";
import type { TimeLimit } from "./time-limit.ts";

/** Threads at a time. One takes about 10 MB; what more of them would read waits for the processors. */
const mostThreads = 4;

interface Waiting {
  readonly resolve: (thread: ReadThread) => void;
  readonly timer: Timer;
}

/** The threads for slow reads, each in use by one read at a time; reads beyond them wait in order. */
export class ReadThreads {
  readonly #path: string;
  readonly #limit: TimeLimit;
  readonly #idle: ReadThread[] = [];
  readonly #starting = new Set<ReadThread>();
  readonly #waiting = new Set<Waiting>();
  /** Those that have begun and not yet ended, whether anybody waits for what they do or not. */
  #alive = 0;
  #isOpen = false;
  #isClosed = false;

  constructor(path: string, limit: TimeLimit) {
    this.#path = path;
    this.#limit = limit;
  }

  /** Whether reads can be given to threads. Until the first has started they are better off where they were. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Starts the first thread. */
  open(): void {
    if (this.#alive === 0) this.#start();
  }

  /** @throws (rejects) {store_unavailable} when no thread was free for as long as a read may take. */
  take(): Promise<ReadThread> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return Promise.resolve(idle);
    if (this.#alive < mostThreads) this.#start();
    return new Promise((resolve, reject) => {
      const timer = this.#limit.clock.after(this.#limit.transactionLimitMs, () => {
        this.#waiting.delete(waiting);
        reject(storeError("store_unavailable", "Too many slow reads are running; try again."));
      });
      const waiting = { resolve, timer };
      this.#waiting.add(waiting);
    });
  }

  /** Takes a thread back whose read has ended. */
  giveBack(thread: ReadThread): void {
    if (thread.hasFailed) return this.discard(thread);
    const next = this.#next();
    if (next === undefined) this.#idle.push(thread);
    else next.resolve(thread);
  }

  /**
   * Ends a thread. A statement that runs cannot be interrupted, so its place is free when it is over:
   * otherwise every read that was cut off would leave one more behind.
   */
  discard(thread: ReadThread): void {
    void thread.close().finally(() => {
      this.#alive -= 1;
      if (this.#waiting.size > 0) this.#start();
    });
  }

  /** Ends those that no read uses. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const idle = [...this.#idle.splice(0), ...this.#starting];
    await Promise.all(idle.map((thread) => thread.close()));
  }

  #start(): void {
    if (this.#isClosed) return;
    this.#alive += 1;
    const thread = new ReadThread(this.#path, {
      ready: () => {
        this.#starting.delete(thread);
        this.#isOpen = true;
        this.giveBack(thread);
      },
      failed: () => this.#forget(thread),
    });
    this.#starting.add(thread);
  }

  /** A thread that failed while no read had it is nobody's any more. */
  #forget(thread: ReadThread): void {
    const place = this.#idle.indexOf(thread);
    if (place !== -1) this.#idle.splice(place, 1);
    if (place !== -1 || this.#starting.delete(thread)) this.discard(thread);
  }

  #next(): Waiting | undefined {
    const [next] = this.#waiting;
    if (next === undefined) return undefined;
    this.#waiting.delete(next);
    next.timer.cancel();
    return next;
  }
}
