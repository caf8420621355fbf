import { newId } from "../../kernel/index.ts";
import type { NewJob, StoreTransaction } from "../../store/index.ts";
import { activeTraceparent } from "../../resilience/index.ts";
import type { Actor } from "../transaction.ts";

/** What a batch's type is known by where only its name is needed. */
export interface BatchType {
  readonly name: string;
  readonly queue: string;
}

/** Input of a chunk's job. */
export interface ChunkJobInput {
  readonly batchId: string;
  readonly position: number;
  /** True when the end of this job leads to the next chunk's: only so many chunks of a batch are at work at once. */
  readonly advances: boolean;
}

/** Attempts of a chunk's job. Items have attempts of their own; these are for a store that is away. */
export const chunkJobAttempts = 20;

/** The type of the jobs of a type of batch. */
export function chunkJobType(batchType: string): string {
  return `batch:${batchType}`;
}

/** What the dedupe keys of all jobs of a batch begin with. */
export function chunkKeyPrefix(batchId: string): string {
  return `${batchId}:`;
}

/** Puts a chunk's job into the commit. A chunk has one job at a time. */
export async function enqueueChunk(
  tx: StoreTransaction,
  type: BatchType,
  actor: Actor,
  input: ChunkJobInput,
  delayMs: number,
): Promise<void> {
  const job: NewJob = {
    id: newId("job"),
    queue: type.queue,
    type: chunkJobType(type.name),
    tenant: actor.tenant,
    payload: JSON.stringify(input),
    priority: 0,
    delayMs,
    maxAttempts: chunkJobAttempts,
    requestId: actor.requestId,
    traceparent: activeTraceparent(),
    dedupeKey: `${chunkKeyPrefix(input.batchId)}${input.position}`,
    // Tenants take turns: whoever has a million items waits for nobody and holds up nobody.
    lane: { key: actor.tenant, concurrency: null, spacingUs: 0, ordered: false },
    deadlineMs: null,
  };
  await tx.insertUniqueJob(job);
}
