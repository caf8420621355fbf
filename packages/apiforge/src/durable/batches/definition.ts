import { durationMs, type Duration } from "../../kernel/index.ts";
import { exponential, type BackoffPolicy } from "../../resilience/index.ts";
import {
  compileSchema,
  type CompiledSchema,
  type Schema,
  type SchemaOutput,
} from "../../schema/index.ts";
import type { BatchRecord } from "../../store/index.ts";
import type { Transaction } from "../transaction.ts";

/** What the handler of an item is given for one attempt. */
export interface BatchItemContext<Item> {
  readonly item: Item;
  /** 0 for the first item of the batch. */
  readonly index: number;
  readonly batchId: string;
  /** 1 for the first attempt of this item. */
  readonly attempt: number;
  readonly tenant: string;
  /** `<batchId>:<index>`, equal on every attempt: pass it to providers that take an idempotency key. */
  readonly idempotencyKey: string;
  /** Aborted when the item runs out of time, the batch is cancelled or the process stops. */
  readonly signal: AbortSignal;
  /**
   * Commits effects of this item while it goes on, for instance that a provider is about to be
   * called which takes no idempotency key. They stay whatever becomes of the attempt, and the
   * attempts after it see them. Answers what `effects` does.
   * @throws {job_lease_lost} when another process has taken the items over; nothing was committed.
   */
  readonly commit: <T>(effects: (tx: Transaction) => Promise<T>) => Promise<T>;
}

/** How an item ended. `error.code` is the code of an {@link ApiForgeError}, else `item_failed`. */
export type FinishedItem<Item = unknown> = {
  readonly index: number;
  readonly item: Item;
  readonly attempts: number;
} & (
  | { readonly status: "succeeded"; readonly result: unknown }
  | { readonly status: "failed"; readonly error: ItemError }
);

/** Why an item failed. */
export interface ItemError {
  readonly code: string;
  readonly message: string;
}

/** How often items of a batch type may begin, over all batches of a key and all processes. */
export interface BatchRate {
  /** Starts per `per`, spaced evenly. */
  readonly limit: number;
  readonly per: Duration;
  /** Batches of equal keys share the rate. Default: the tenant. */
  readonly key?: (batch: { readonly tenant: string; readonly owner: string }) => string;
}

/** How a type of batch behaves; every field but `item` and `run` has a default. */
export interface BatchOptions<S extends Schema> {
  /** What one item is. Items that do not satisfy it are refused when the batch is accepted. */
  readonly item: S;
  /**
   * Does one item, outside of any transaction; what it returns is kept as the item's result (JSON,
   * 16 KB at most). A throw fails the attempt: it is repeated after a backoff while attempts are
   * left, unless the error is not retryable. An item runs again when its process dies within a
   * second after it ended: at least once, with one result committed.
   */
  readonly run: (context: BatchItemContext<SchemaOutput<S>>) => Promise<unknown>;
  /** Attempts of one item, 1 or more. Default 3. */
  readonly attempts?: number;
  /** Wait between an item's attempts. Default exponential from 2 s with full jitter. */
  readonly backoff?: BackoffPolicy;
  /** Longest time of one attempt of one item. Default 30 s. */
  readonly timeout?: Duration;
  /** Items of one chunk that run at the same time. Default 10. */
  readonly concurrency?: number;
  /** Items stored, run and recorded together, 1 to 10,000. Default 500. */
  readonly chunkItems?: number;
  /** Chunks of one batch that are at work at the same time, over all processes. Default 4. */
  readonly chunksAtOnce?: number;
  /** Most items of one batch. Default 1,000,000. */
  readonly maxItems?: number;
  /** Default: as fast as they run. */
  readonly rate?: BatchRate;
  /** Queue of the chunks' jobs. Default `batches`. */
  readonly queue?: string;
  /** How long a batch is kept after its end. Default 7 days. */
  readonly retention?: Duration;
  /** Runs in the commit that records items that ended, once for each of them. */
  readonly onItem?: (tx: Transaction, item: FinishedItem<SchemaOutput<S>>) => Promise<void>;
  /** Runs in the commit with which the batch ends, once. */
  readonly onComplete?: (tx: Transaction, batch: BatchRecord) => Promise<void>;
}

/** A type of batch. */
export interface BatchDefinition<S extends Schema = Schema> {
  readonly name: string;
  readonly item: S;
  readonly compiled: CompiledSchema<SchemaOutput<S>>;
  readonly attempts: number;
  readonly backoff: BackoffPolicy;
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly chunkItems: number;
  readonly chunksAtOnce: number;
  readonly maxItems: number;
  readonly rate: BatchRate | undefined;
  readonly queue: string;
  readonly retentionMs: number;
  // Methods, so that definitions with different items fit in one list.
  run(context: BatchItemContext<SchemaOutput<S>>): Promise<unknown>;
  onItem?(tx: Transaction, item: FinishedItem<SchemaOutput<S>>): Promise<void>;
  onComplete?(tx: Transaction, batch: BatchRecord): Promise<void>;
}

/**
 * Declares a type of batch: many items that are accepted in one commit and then done one by one,
 * each with its own result. `name` is stored with every batch and stays the same across deployments.
 * @throws {RangeError} for an option outside of its range.
 */
export function defineBatch<S extends Schema>(
  name: string,
  options: BatchOptions<S>,
): BatchDefinition<S> {
  const whole = (field: string, value: number, max: number): number => {
    if (Number.isInteger(value) && value >= 1 && value <= max) return value;
    throw new RangeError(`Batch ${name}: ${field} must be a whole number from 1 to ${max}`);
  };
  const { onItem, onComplete, rate } = options;
  if (rate !== undefined) whole("rate.limit", rate.limit, 1_000_000);
  return {
    name,
    item: options.item,
    compiled: compileSchema(options.item),
    attempts: whole("attempts", options.attempts ?? 3, 1_000),
    backoff: options.backoff ?? exponential("2s"),
    timeoutMs: durationMs(options.timeout ?? "30s"),
    concurrency: whole("concurrency", options.concurrency ?? 10, 10_000),
    chunkItems: whole("chunkItems", options.chunkItems ?? 500, 10_000),
    chunksAtOnce: whole("chunksAtOnce", options.chunksAtOnce ?? 4, 1_000),
    maxItems: whole("maxItems", options.maxItems ?? 1_000_000, 100_000_000),
    rate,
    queue: options.queue ?? "batches",
    retentionMs: durationMs(options.retention ?? "7d"),
    run: options.run,
    ...(onItem === undefined ? {} : { onItem }),
    ...(onComplete === undefined ? {} : { onComplete }),
  };
}
