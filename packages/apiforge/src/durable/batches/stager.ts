import { newId } from "../../kernel/index.ts";
import type { NewBatch, NewChunk, Store } from "../../store/index.ts";
import { durableError } from "../errors.ts";
import type { Actor } from "../transaction.ts";
import type { Breather } from "./breather.ts";
import type { BatchDefinition } from "./definition.ts";

/** Text of one chunk, in UTF-16 units, above which it is full whatever the number of its items. */
const maxChunkChars = 256 * 1_024;
/** Chunks that wait to be stored while more items come in; what memory a slow store may cost. */
const maxWaiting = 4;
/** Longest stored item. */
export const maxItemChars = 64 * 1_024;

/** What takes items in. */
export interface StagerParts {
  readonly store: Store;
  readonly breather: Breather;
}

/** Items that are stored under a batch which nobody can see until `tx.batches.start` makes it visible. */
export interface StagedBatch {
  readonly id: string;
  readonly definition: BatchDefinition;
  readonly total: number;
  readonly chunks: number;
}

/**
 * Takes in the items of one batch: small commits of one chunk each, so that neither memory nor
 * other writers pay for its size.
 */
export class BatchStager {
  readonly #store: Store;
  readonly #breather: Breather;
  readonly #definition: BatchDefinition;
  readonly #batch: NewBatch;
  readonly #noun: string;
  #texts: string[] = [];
  #chars = 0;
  #total = 0;
  #position = 0;
  /** Chunks for the next commit: those that are ready while one is on its way share another. */
  #waiting: NewChunk[] = [];
  #storing: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** @param noun what the items are called where there are too many. */
  constructor(parts: StagerParts, definition: BatchDefinition, actor: Actor, noun: string) {
    const { tenant, requestId } = actor;
    this.#store = parts.store;
    this.#breather = parts.breather;
    this.#definition = definition;
    this.#batch = { id: newId("batch"), type: definition.name, tenant, requestId };
    this.#noun = noun;
  }

  /**
   * Adds an item as JSON text. A promise means that the sender is to wait for it.
   * @throws {batch_too_large} and {batch_item_too_large}.
   */
  add(text: string): Promise<void> | undefined {
    const { maxItems, chunkItems } = this.#definition;
    if (this.#total === maxItems) throw tooMany(maxItems, this.#noun);
    if (text.length > maxItemChars) throw itemTooLarge(this.#total);
    this.#texts.push(text);
    this.#chars += text.length;
    this.#total += 1;
    if (this.#texts.length === chunkItems || this.#chars >= maxChunkChars) this.#closeChunk();
    return this.#waiting.length < maxWaiting ? this.#breather.breathe() : this.#drained();
  }

  /**
   * Stores what is left.
   * @throws {batch_empty} when nothing was added, and what the store threw.
   */
  async end(): Promise<StagedBatch> {
    if (this.#total === 0) throw durableError("batch_empty", `Send at least one of ${this.#noun}`);
    if (this.#texts.length > 0) this.#closeChunk();
    await this.#drained();
    const { id } = this.#batch;
    return { id, definition: this.#definition, total: this.#total, chunks: this.#position };
  }

  /** Gives up what was stored; the housekeeper deletes it. Throws nothing: it would find it in time anyway. */
  async discard(): Promise<void> {
    await this.#storing;
    if (this.#position > 0)
      await this.#store.batches.discard(this.#batch.id).catch(() => undefined);
  }

  #closeChunk(): void {
    const itemCount = this.#texts.length;
    this.#waiting.push({
      position: this.#position,
      firstIndex: this.#total - itemCount,
      itemCount,
      items: `[${this.#texts.join()}]`,
    });
    this.#position += 1;
    this.#texts = [];
    this.#chars = 0;
    this.#storing ??= this.#storeWaiting();
  }

  async #storeWaiting(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const chunks = this.#waiting;
        this.#waiting = [];
        await this.#store.transact("stage batch", (tx) => tx.batches.stage(this.#batch, chunks));
      }
    } catch (error) {
      this.#failure ??= { error };
    }
    // In the same turn as the last look at what waits: a chunk that came in between would stay.
    this.#storing = undefined;
  }

  async #drained(): Promise<void> {
    await this.#storing;
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

function tooMany(maxItems: number, noun: string): Error {
  return durableError("batch_too_large", `Max ${maxItems.toLocaleString("en-US")} ${noun} per job`);
}

function itemTooLarge(index: number): Error {
  return durableError(
    "batch_item_too_large",
    `Item ${index} is longer than ${maxItemChars} characters. Put large content in a file that the item names.`,
  );
}
