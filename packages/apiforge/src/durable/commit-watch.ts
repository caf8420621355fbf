import type { Clock } from "../kernel/index.ts";
import type { Durable } from "./durable.ts";
import type { Reader } from "./transaction.ts";

/** How old a view is when it is read anew beside the requests that use it. */
const refreshMs = 50;
/** How old it may be: the longest that a node goes on after another one's commit. */
const boundMs = 250;
/** Until when after the longest transaction a mark has been committed or never will be. */
const outcomeMarginMs = 1_000;

/** What a watch works with. */
export interface CommitWatchParts {
  readonly durable: Pick<Durable, "read">;
  readonly clock: Clock;
  /** No other process can commit anything here. */
  readonly singleProcess: boolean;
  readonly transactionLimitMs: number;
}

/** How a watch looks. */
export interface CommitLook {
  /** Of the read, for the log. */
  readonly name: string;
  /**
   * Reads what was committed after the mark `seen`, and the last mark. Called with undefined the first
   * time, when nothing is remembered from before.
   */
  read(reader: Reader, seen: number | undefined): Promise<number>;
}

/**
 * Tells which marks, numbered in the order of their commits, were left in the store on any node. It is
 * looked for along with requests: 50 ms after the last look beside the next one, 250 ms after it before it. So a server at
 * rest asks nothing, and one that cannot see the store trusts nothing it remembers. A mark of this node is seen
 * from its commit on.
 */
export class CommitWatch {
  readonly #parts: CommitWatchParts;
  readonly #look: CommitLook;
  #seen = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** The last mark that a transaction of this node has begun. */
  #begun = 0;
  #begunAt = 0;
  #looking: Promise<void> | undefined;
  #nextLook: Promise<void> | undefined;

  constructor(parts: CommitWatchParts, look: CommitLook) {
    this.#parts = parts;
    this.#look = look;
  }

  /** The last mark that this node has seen; all before it have been seen too. */
  get seen(): number {
    return this.#seen;
  }

  /** A transaction of this node has left a mark; it may commit or not. */
  begin(mark: number): void {
    this.#begun = mark;
    this.#begunAt = this.#elapsed();
  }

  /** False when there may be a mark that this node had to see by now; then {@link refresh} it. */
  isFresh(): boolean {
    if (this.#begun > this.#seen) return this.#isUndecided();
    const age = this.#elapsed() - this.#lookedAt;
    if (this.#parts.singleProcess) return age < Number.POSITIVE_INFINITY;
    if (age >= boundMs || age < 0) return false;
    // A look that fails is repeated by the next request, and in the end waited for.
    if (age >= refreshMs && this.#looking === undefined) this.#start().catch(() => undefined);
    return true;
  }

  /**
   * Resolves once this node has seen all that were committed before the call.
   * @throws {store_unavailable} when it cannot look.
   */
  refresh(): Promise<void> {
    if (this.#looking === undefined) return this.#start();
    // The look under way may have begun before what the caller comes after.
    this.#nextLook ??= this.#startAfter(this.#looking);
    return this.#nextLook;
  }

  /** Of a mark that was begun here and not seen yet: whether it has been given up. */
  #isUndecided(): boolean {
    const { transactionLimitMs } = this.#parts;
    const age = this.#elapsed() - this.#begunAt;
    // Rolled back, by now. Seen once more, since the last look may be from before its commit.
    if (age >= transactionLimitMs + outcomeMarginMs || age < 0) this.#begun = 0;
    return false;
  }

  async #startAfter(looking: Promise<void>): Promise<void> {
    await looking.catch(() => undefined);
    this.#nextLook = undefined;
    await (this.#looking ?? this.#start());
  }

  #start(): Promise<void> {
    this.#looking = this.#read().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #read(): Promise<void> {
    const lookedAt = this.#elapsed();
    const seen = this.#lookedAt === Number.NEGATIVE_INFINITY ? undefined : this.#seen;
    const { name } = this.#look;
    this.#seen = await this.#parts.durable.read(name, (reader) => this.#look.read(reader, seen));
    this.#lookedAt = lookedAt;
  }

  #elapsed(): number {
    const { clock } = this.#parts;
    return clock.elapsed?.() ?? clock.now();
  }
}
