import type { Clock, Log, Timer } from "../../kernel/index.ts";
import { backoffDelayMs, exponential } from "../../resilience/index.ts";
import {
  eventsSwept,
  type ConsumerState,
  type LogEvent,
  type Store,
  type StoreTransaction,
} from "../../store/index.ts";
import type { ConsumerDefinition } from "../definitions.ts";
import { createTransaction } from "../transaction.ts";

const batchEvents = 100;
const retryPolicy = exponential("500ms", { max: "1m" });

/** What a consumer's runner is made of. */
export interface ConsumerParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly pollMs: number;
  readonly onCommit: () => void;
  readonly random: () => number;
}

/**
 * Feeds the log to one consumer, in order. The effects of a batch commit together with the cursor,
 * so each event has its effects once; on many nodes one works at a time. An event that fails is
 * tried again with growing waits and holds up nobody but this consumer.
 */
export class ConsumerRunner {
  readonly #definition: ConsumerDefinition;
  readonly #parts: ConsumerParts;
  #timer: Timer | undefined;
  #loop: Promise<void> | undefined;
  #wanted = false;
  #stopped = true;
  #failures = 0;
  /** Events that are handled one by one, because a batch with them failed. */
  #oneByOne = 0;

  constructor(definition: ConsumerDefinition, parts: ConsumerParts) {
    this.#definition = definition;
    this.#parts = parts;
  }

  start(): void {
    this.#stopped = false;
    this.wake();
  }

  /** Looks for events soon; while a failed event waits for its retry, nothing hurries it. */
  wake(): void {
    this.#wanted = true;
    if (!this.#stopped && this.#failures === 0) this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#loop;
  }

  async #run(): Promise<void> {
    let waitMs = this.#parts.pollMs;
    do {
      this.#wanted = false;
      waitMs = await this.#batch();
    } while (this.#wanted && !this.#stopped && this.#failures === 0);
    this.#loop = undefined;
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.after(waitMs, () => {
      this.#loop ??= this.#run();
    });
  }

  /** Handles one batch; answers how long to wait when nothing wakes the consumer before. */
  async #batch(): Promise<number> {
    const { store, pollMs, onCommit, log, random } = this.#parts;
    // After a failure events go one by one, so that those before the bad one are done with.
    const limit = this.#oneByOne === 0 ? batchEvents : 1;
    try {
      const { value: seen } = await store.transact(`consumer ${this.#definition.name}`, (tx) =>
        this.#handle(tx, limit),
      );
      this.#failures = 0;
      this.#oneByOne = Math.max(0, this.#oneByOne - seen);
      if (seen > 0) onCommit();
      if (seen === limit) this.#wanted = true;
      return pollMs;
    } catch (error) {
      this.#failures += 1;
      if (limit > 1) this.#oneByOne = limit;
      const delayMs = backoffDelayMs(retryPolicy, Math.min(this.#failures, 30), random);
      log.error(
        { error, consumer: this.#definition.name, failures: this.#failures, delayMs },
        "consumer failed; it will try again",
      );
      return delayMs;
    }
  }

  async #handle(tx: StoreTransaction, limit: number): Promise<number> {
    const state = await tx.lockConsumer(this.#definition.name);
    if (state === undefined) return 0;
    const from = await this.#behindGap(tx, state);
    const events = await tx.readEvents(from, limit);
    const last = events.at(-1);
    if (last === undefined) return 0;
    for (const event of events) {
      if (!wants(this.#definition, event)) continue;
      const actor = { tenant: event.tenant, requestId: event.requestId };
      await this.#definition.handle({
        event,
        tx: createTransaction(tx, actor, this.#parts.clock.now()),
      });
    }
    await tx.advanceConsumer(this.#definition.name, last.seq);
    return events.length;
  }

  /** Where to read from: behind what was deleted unseen, once that is dealt with. */
  async #behindGap(tx: StoreTransaction, { cursor, floor }: ConsumerState): Promise<number> {
    if (cursor >= floor) return cursor;
    const { name } = this.#definition;
    if (this.#definition.missed === undefined) throw eventsSwept(cursor, floor);
    const actor = { tenant: "system", requestId: `consumer ${name}` };
    const own = createTransaction(tx, actor, this.#parts.clock.now());
    await this.#definition.missed({ after: cursor, until: floor, tx: own });
    await tx.advanceConsumer(name, floor);
    return floor;
  }
}

function wants(definition: ConsumerDefinition, event: LogEvent): boolean {
  return definition.events.some((pattern) =>
    pattern.endsWith("*") ? event.type.startsWith(pattern.slice(0, -1)) : event.type === pattern,
  );
}
