import type { Log } from "../../kernel/index.ts";
import type { DeadChunkJob, Store } from "../../store/index.ts";
import { createTransaction } from "../transaction.ts";
import { chunkJobInput } from "./chunk-job.ts";
import { chunkJobType } from "./chunk-jobs.ts";
import { ChunkLedger } from "./chunk-ledger.ts";
import type { BatchDefinition } from "./definition.ts";
import { handlerBatches } from "./handler-batches.ts";

const jobsPerVisit = 100;

/** What the burial of chunks works with. */
export interface BurialParts {
  readonly store: Store;
  readonly log: Log;
  readonly now: () => number;
  readonly definitions: readonly BatchDefinition[];
}

/**
 * Ends chunks whose job is dead, because five processes died with it or the store refused it for
 * good: their unfinished items have failed, and the batch goes on with the next chunk.
 */
export async function buryDeadChunks(parts: BurialParts): Promise<void> {
  const types = new Map(parts.definitions.map((one) => [chunkJobType(one.name), one]));
  if (types.size === 0) return;
  const jobs = await parts.store.batches.deadJobs([...types.keys()], jobsPerVisit);
  for (const job of jobs) {
    const definition = types.get(job.type);
    if (definition !== undefined) await bury(parts, definition, job);
  }
}

async function bury(
  { store, log, now }: BurialParts,
  definition: BatchDefinition,
  job: DeadChunkJob,
): Promise<void> {
  const { batchId, position, advances } = chunkJobInput.parse(JSON.parse(job.payload));
  const chunk = await store.batches.loadChunk(batchId, position);
  await store.transact(`bury ${job.type}`, async (storeTx) => {
    const tx = createTransaction(storeTx, job, now());
    if (!(await handlerBatches(tx).removeDeadJob(job.n))) return;
    if (chunk === undefined || chunk.closed) return;
    const ledger = new ChunkLedger(definition, chunk);
    for (const { offset } of ledger.unfinished()) {
      const attempts = ledger.attempts(offset);
      ledger.set(offset, [2, attempts, "batch_chunk_lost", lostMessage]);
    }
    await ledger.write(tx, { closes: true, takesNext: advances });
  });
  log.error(
    { batch: batchId, chunk: position },
    "a chunk of a batch was given up; its items failed",
  );
}

const lostMessage =
  "The processes that ran this item's chunk died, or its outcome could not be stored.";
