import type { Clock } from "../../kernel/index.ts";
import type { Schema, SchemaInput } from "../../schema/index.ts";
import type { BatchRecord, Store } from "../../store/index.ts";
import { durableError } from "../errors.ts";
import type { Actor } from "../transaction.ts";
import type { Breather } from "./breather.ts";
import type { BatchDefinition } from "./definition.ts";
import { batchReader, itemsOf, readChunksAfter, type BatchItem } from "./reads.ts";
import { BatchStager, type StagedBatch } from "./stager.ts";

/** How often a followed batch is looked at. */
const followMs = 500;

/** Batches outside of transactions. In a handler, `tx.batches` starts, finds and cancels them. */
export interface Batches {
  /**
   * Stores items for a batch that `tx.batches.start` accepts, in small commits that nobody can see;
   * what is never accepted is deleted after a while.
   * @throws {batch_item_invalid} naming the index, {batch_too_large}, {batch_empty}.
   */
  stage<S extends Schema>(
    definition: BatchDefinition<S>,
    items: Iterable<SchemaInput<S>> | AsyncIterable<SchemaInput<S>>,
    actor: Actor,
  ): Promise<StagedBatch>;
  /** Takes in items one by one as JSON text, which the caller has checked. */
  stager(definition: BatchDefinition, actor: Actor, noun: string): BatchStager;
  /** Gives up a staged batch; nothing happens to one that was accepted. */
  discard(staged: StagedBatch): Promise<void>;
  find(id: string): Promise<BatchRecord | undefined>;
  /** Every item in order, as it stands when it is read; a chunk is in memory at a time. */
  results(id: string): AsyncIterable<BatchItem>;
  /** The batch now and after every change, looked at twice a second, until it has ended or `signal` aborts. */
  progress(id: string, signal?: AbortSignal): AsyncIterable<BatchRecord>;
}

/** Batches over `store`, taken in at the pace of `breather`. */
export function createBatches(store: Store, clock: Clock, breather: Breather): Batches {
  const parts = { store, breather };

  async function stage<S extends Schema>(
    definition: BatchDefinition<S>,
    items: Iterable<SchemaInput<S>> | AsyncIterable<SchemaInput<S>>,
    actor: Actor,
  ): Promise<StagedBatch> {
    const stager = new BatchStager(parts, definition, actor, "items");
    try {
      let index = 0;
      for await (const item of items) {
        await stager.add(checkedText(definition, item, index));
        index += 1;
      }
      return await stager.end();
    } catch (error) {
      await stager.discard();
      throw error;
    }
  }

  async function* results(id: string): AsyncGenerator<BatchItem> {
    let position = -1;
    for (;;) {
      const after = position;
      const chunks = await store.read("batch results", (reader) =>
        readChunksAfter(reader, id, after),
      );
      if (chunks.length === 0) return;
      for (const chunk of chunks) {
        position = chunk.position;
        yield* itemsOf(chunk);
      }
    }
  }

  async function* progress(id: string, signal?: AbortSignal): AsyncGenerator<BatchRecord> {
    let seen = "";
    const isWanted = (): boolean => signal?.aborted !== true;
    while (isWanted()) {
      const batch = await store.read("batch progress", (reader) => batchReader(reader).find(id));
      if (batch === undefined) return;
      const text = JSON.stringify(batch);
      if (text !== seen) yield batch;
      seen = text;
      if (batch.finishedAt !== null) return;
      await pause(clock, followMs, signal);
    }
  }

  return {
    stage,
    stager: (definition, actor, noun) => new BatchStager(parts, definition, actor, noun),
    discard: (staged) => store.batches.discard(staged.id),
    find: (id) => store.read("find batch", (reader) => batchReader(reader).find(id)),
    results,
    progress,
  };
}

function checkedText(definition: BatchDefinition, item: unknown, index: number): string {
  const result = definition.compiled.validate(item);
  if (result.ok) return JSON.stringify(item) ?? "null";
  const [issue] = result.issues;
  throw durableError(
    "batch_item_invalid",
    `Item ${index} of a batch ${definition.name}: ${issue?.path || "item"}: ${issue?.message ?? "is invalid"}`,
  );
}

function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.after(ms, end);
    signal?.addEventListener("abort", end, { once: true });
  });
}
