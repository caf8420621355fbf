/** The life of a batch: see the state machines in ARCHITECTURE.md. `accepting` is seen by nobody but its sender's request. */
export const batchStates = [
  "accepting",
  "queued",
  "in_progress",
  "completed",
  "failed",
  "cancelled",
] as const;
export type BatchState = (typeof batchStates)[number];

/** A batch whose items are still coming in. */
export interface NewBatch {
  readonly id: string;
  readonly type: string;
  readonly tenant: string;
  readonly requestId: string;
}

/** Consecutive items of a batch, stored as one row. */
export interface NewChunk {
  /** 0 for the first chunk. */
  readonly position: number;
  /** Index in the batch of the chunk's first item. */
  readonly firstIndex: number;
  readonly itemCount: number;
  /** JSON array of the items. */
  readonly items: string;
}

/** What makes a batch visible. */
export interface BatchOpening {
  readonly id: string;
  /** Who sent it, for the application to compare; empty when nobody in particular. */
  readonly owner: string;
  readonly total: number;
  readonly chunks: number;
  /** Chunks that get a job in the same commit: the first ones. */
  readonly taken: number;
}

/** A batch as it stands. `succeeded + failed + cancelled` never exceeds `total` and equals it in the end. */
export interface BatchRecord {
  readonly id: string;
  readonly type: string;
  readonly tenant: string;
  readonly owner: string;
  readonly state: BatchState;
  readonly total: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Items that were never finished because the batch was cancelled; known once `finishedAt` is. */
  readonly cancelled: number;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly cancelledAt: number | null;
  /** When nothing of it was at work any more; of a cancelled batch a moment after `cancelledAt`. */
  readonly finishedAt: number | null;
  readonly requestId: string;
}

/** A chunk with what was recorded of it. */
export interface StoredChunk extends NewChunk {
  readonly batch: BatchRecord;
  /** True when nothing of it will change any more. */
  readonly closed: boolean;
  /** JSON array of outcomes, one per item; undefined before the first was recorded. */
  readonly outcomes: string | undefined;
}

/** What a commit records of one chunk. */
export interface ChunkProgress {
  readonly batchId: string;
  readonly position: number;
  readonly outcomes: string;
  /** Items of the chunk that have succeeded and failed so far, those recorded before included. */
  readonly succeeded: number;
  readonly failed: number;
  /** Items that succeeded and failed since the chunk was recorded last: what the batch's counters grow by. */
  readonly newlySucceeded: number;
  readonly newlyFailed: number;
  /** True exactly once per chunk, with the commit after which nothing of it changes. */
  readonly closes: boolean;
  /** Asks for a chunk that nobody has taken yet. */
  readonly takesNext: boolean;
  /** How long a batch that ends with this commit is kept. */
  readonly retentionMs: number;
}

/** What the batch is after a commit's record. */
export interface BatchProgress {
  readonly batch: BatchRecord;
  /** Position of the chunk that was taken. */
  readonly next: number | undefined;
  /** True when the last report is a second old: this commit is to report. */
  readonly reportDue: boolean;
}

/** Batches inside one transaction. */
export interface BatchTransaction {
  /** Adds chunks to a batch that nobody can see yet; the first call makes the batch. */
  stage(batch: NewBatch, chunks: readonly NewChunk[]): Promise<void>;
  /** Makes a staged batch visible; false when it is gone. */
  open(opening: BatchOpening): Promise<boolean>;
  /** Stores a chunk's outcomes and moves the batch's counters with them; undefined when the batch is gone. */
  record(progress: ChunkProgress): Promise<BatchProgress | undefined>;
  /** Ends a batch that has not ended: no further chunk is taken. Undefined when there is no such batch. */
  cancel(id: string): Promise<BatchRecord | undefined>;
  /** Makes the delayed chunk jobs of a batch due; `jobType` and `keyPrefix` are those of its jobs. */
  hasten(jobType: string, keyPrefix: string): Promise<void>;
  /** Removes a dead job; false when it is no longer dead. */
  removeDeadJob(n: number): Promise<boolean>;
}

/** A chunk's job that will never run again by itself. */
export interface DeadChunkJob {
  readonly n: number;
  readonly type: string;
  readonly tenant: string;
  readonly requestId: string;
  readonly payload: string;
}

/** Batches outside of transactions of handlers; each call is a commit or a read of its own. */
export interface BatchStore {
  find(id: string): Promise<BatchRecord | undefined>;
  loadChunk(batchId: string, position: number): Promise<StoredChunk | undefined>;
  /** Dead jobs of the given types. */
  deadJobs(types: readonly string[], limit: number): Promise<readonly DeadChunkJob[]>;
  /** Gives up a batch that is not open: {@link sweep} deletes it. Nothing happens to one that is. */
  discard(id: string): Promise<void>;
  /**
   * Deletes up to `limit` chunks of a batch that is past its retention, was discarded, or was never
   * opened and had nothing added for `abandonedMs`, and with the last of them the batch; answers how
   * many rows, 0 when there is no such batch.
   */
  sweep(abandonedMs: number, limit: number): Promise<number>;
}

/** Slots of something that may begin only so often. */
export interface RateReservation {
  /** Slots that were reserved, 0 when the next free one is further away than was asked. */
  readonly granted: number;
  /** Milliseconds until the first of them, or until one could be had. */
  readonly firstInMs: number;
}

/** Rates that all nodes share. */
export interface RateStore {
  /**
   * Reserves up to `wanted` slots of `name` that begin within `withinMs`, each `spacingMs` after
   * the one before, whoever reserved that.
   */
  reserve(
    name: string,
    wanted: number,
    spacingMs: number,
    withinMs: number,
  ): Promise<RateReservation>;
}
