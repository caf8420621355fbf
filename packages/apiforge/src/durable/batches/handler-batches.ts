import type {
  BatchProgress,
  BatchRecord,
  ChunkProgress,
  StoreTransaction,
} from "../../store/index.ts";
import { durableError } from "../errors.ts";
import type { Actor, Transaction } from "../transaction.ts";
import {
  chunkJobType,
  chunkKeyPrefix,
  enqueueChunk,
  type BatchType,
  type ChunkJobInput,
} from "./chunk-jobs.ts";
import { batchAccepted, progressOf } from "./events.ts";
import { batchReader, type BatchItem, type BatchReader, type ItemQuery } from "./reads.ts";
import type { StagedBatch } from "./stager.ts";

/** Batches in one commit. */
export interface TransactionBatches extends BatchReader {
  /**
   * Accepts a staged batch: it becomes visible, with its first jobs and `batch.accepted`, exactly
   * when this commit happens.
   * @throws {batch_lost} when it was staged too long ago.
   */
  start(staged: StagedBatch, options?: StartOptions): Promise<BatchRecord>;
  /**
   * Ends a batch: no further item begins, items under way get their signal, and what has not ended
   * then is `cancelled`. A batch that has ended stays what it is. Undefined when there is none.
   */
  cancel(id: string): Promise<BatchRecord | undefined>;
}

/** Options of {@link TransactionBatches.start}. */
export interface StartOptions {
  /** Who sent it, for routes to compare with their caller. Default nobody in particular. */
  readonly owner?: string;
}

/** {@link TransactionBatches} with what only the runner of chunks does. */
export class HandlerBatches implements TransactionBatches {
  readonly #store: StoreTransaction;
  readonly #actor: Actor;
  readonly #tx: Transaction;
  readonly #reader: BatchReader;

  constructor(store: StoreTransaction, actor: Actor, tx: Transaction) {
    this.#store = store;
    this.#actor = actor;
    this.#tx = tx;
    this.#reader = batchReader(store);
  }

  find(id: string): Promise<BatchRecord | undefined> {
    return this.#reader.find(id);
  }

  items(id: string, query: ItemQuery): Promise<readonly BatchItem[]> {
    return this.#reader.items(id, query);
  }

  async start(staged: StagedBatch, options: StartOptions = {}): Promise<BatchRecord> {
    const { id, definition, total, chunks } = staged;
    const taken = Math.min(definition.chunksAtOnce, chunks);
    const opening = { id, owner: options.owner ?? "", total, chunks, taken };
    if (!(await this.#store.batches.open(opening))) {
      throw durableError("batch_lost", "The items were sent too long ago. Send them again.");
    }
    for (let position = 0; position < taken; position++) {
      await this.enqueueChunk(definition, { batchId: id, position, advances: true }, 0);
    }
    const batch = await this.#reader.find(id);
    if (batch === undefined) throw durableError("batch_lost", `Batch ${id} is gone.`);
    this.#tx.emit(batchAccepted, progressOf(batch));
    return batch;
  }

  async cancel(id: string): Promise<BatchRecord | undefined> {
    const batch = await this.#store.batches.cancel(id);
    // Chunks that wait for a retry or a slot would otherwise keep the batch open until then.
    if (batch?.state === "cancelled" && batch.finishedAt === null) {
      await this.#store.batches.hasten(chunkJobType(batch.type), chunkKeyPrefix(id));
    }
    return batch;
  }

  enqueueChunk(type: BatchType, input: ChunkJobInput, delayMs: number): Promise<void> {
    return enqueueChunk(this.#store, type, this.#actor, input, delayMs);
  }

  record(progress: ChunkProgress): Promise<BatchProgress | undefined> {
    return this.#store.batches.record(progress);
  }

  removeDeadJob(n: number): Promise<boolean> {
    return this.#store.batches.removeDeadJob(n);
  }
}

/** The whole of `tx.batches`, which users see a part of. */
export function handlerBatches(tx: Transaction): HandlerBatches {
  if (tx.batches instanceof HandlerBatches) return tx.batches;
  throw new TypeError("This transaction was not made by the durable core");
}
