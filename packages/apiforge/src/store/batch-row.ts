import {
  batchStates,
  type BatchRecord,
  type DeadChunkJob,
  type StoredChunk,
} from "./batch-contract.ts";
import type { Row } from "./contract.ts";

/** A batch row as it is shown. */
export function toBatchRecord(row: Row): BatchRecord {
  const state = batchStates[Number(row["state"])];
  if (state === undefined)
    throw new TypeError(`Batch ${String(row["id"])} has unknown state ${String(row["state"])}`);
  return {
    id: String(row["id"]),
    type: String(row["type"]),
    tenant: String(row["tenant"]),
    owner: String(row["owner"]),
    state,
    total: Number(row["total"]),
    succeeded: Number(row["succeeded"]),
    failed: Number(row["failed"]),
    cancelled: Number(row["cancelled"]),
    createdAt: Number(row["created_at"]),
    startedAt: numberOrNull(row["started_at"]),
    cancelledAt: numberOrNull(row["cancelled_at"]),
    finishedAt: numberOrNull(row["finished_at"]),
    requestId: String(row["request_id"]),
  };
}

/** A row of {@link chunkColumns} joined to its batch. */
export function toStoredChunk(row: Row): StoredChunk {
  return {
    batch: toBatchRecord(row),
    position: Number(row["position"]),
    firstIndex: Number(row["first_index"]),
    itemCount: Number(row["item_count"]),
    items: String(row["items"]),
    closed: Number(row["closed"] ?? 0) === 1,
    outcomes: typeof row["outcomes"] === "string" ? row["outcomes"] : undefined,
  };
}

/** A dead job of a chunk. */
export function toDeadChunkJob(row: Row): DeadChunkJob {
  return {
    n: Number(row["n"]),
    type: String(row["type"]),
    tenant: String(row["tenant"]),
    requestId: String(row["request_id"]),
    payload: String(row["payload"]),
  };
}

/** A chunk with its batch and what was recorded of it; to be followed by a condition. */
export const chunkSelect = `select batch.*, chunk.position, chunk.first_index, chunk.item_count,
     chunk.items, outcome.closed, outcome.outcomes
   from forge_batch_chunks chunk
     join forge_batches batch on batch.id = chunk.batch_id
     left join forge_batch_outcomes outcome
       on outcome.batch_id = chunk.batch_id and outcome.position = chunk.position`;

/** How often a batch reports its progress at most. */
export const reportEveryMs = 1_000;

function numberOrNull(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}
