import {
  forbidden,
  notFound,
  type BatchItem,
  type BatchRecord,
  type BatchState,
  type Principal,
  type Reader,
} from "apiforge";
import { z } from "zod";

import { undeliveredCount, undeliveredNumbers } from "./delivery.ts";
import { bulkMessage, type JobProgress, type JobStatus, type MessageResult } from "./schema.ts";

const statuses: Readonly<Record<Exclude<BatchState, "accepting">, JobStatus>> = {
  queued: "QUEUED",
  in_progress: "IN_PROGRESS",
  completed: "COMPLETED",
  failed: "FAILED",
  cancelled: "CANCELED",
};

const maxFailedNumbers = 1_000;
const sentResult = z.object({ sid: z.string() });

/** The caller's job: 404 when there is none of this id, 403 when it is somebody else's. */
export async function requireJob(
  tx: Reader,
  principal: Principal,
  id: string,
): Promise<BatchRecord> {
  const batch = await tx.batches.find(id);
  if (batch === undefined || batch.type !== "bulk-messages") {
    throw notFound("No job has this id.");
  }
  if (batch.tenant !== principal.tenant || batch.owner !== principal.subject) throw forbidden();
  return batch;
}

/** How far a job is; `undelivered` messages were sent and count as failed all the same. */
export function progressOf(batch: BatchRecord, undelivered = 0): JobProgress {
  const { id, state, total, succeeded, failed, finishedAt } = batch;
  return {
    jobId: id,
    status: state === "accepting" ? "QUEUED" : statuses[state],
    total,
    processed: succeeded + failed,
    failed: failed + undelivered,
    ...(finishedAt === null ? {} : { completedAt: new Date(finishedAt).toISOString() }),
  };
}

/** How far a job is, with the numbers that failed once it has ended. */
export async function reportOf(tx: Reader, batch: BatchRecord) {
  const progress = progressOf(batch, await undeliveredCount(tx, batch.id));
  if (batch.finishedAt === null || progress.failed === 0) return progress;
  return { ...progress, failedNumbers: await failedNumbers(tx, batch.id) };
}

async function failedNumbers(tx: Reader, batchId: string): Promise<readonly string[]> {
  const failed = await tx.batches.items(batchId, { status: "failed", limit: maxFailedNumbers });
  const numbers = failed.map(({ item }) => bulkMessage.parse(item).to);
  const room = maxFailedNumbers - numbers.length;
  return room === 0 ? numbers : [...numbers, ...(await undeliveredNumbers(tx, batchId, room))];
}

/** What became of one message. */
export function resultOf({
  index,
  item,
  status,
  attempts,
  result,
  error,
}: BatchItem): MessageResult {
  const sent = sentResult.safeParse(result);
  return {
    index,
    to: bulkMessage.parse(item).to,
    status,
    attempts,
    sid: sent.success ? sent.data.sid : null,
    error,
  };
}
