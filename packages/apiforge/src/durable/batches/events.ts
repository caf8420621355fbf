import { z } from "zod";

import type { BatchRecord } from "../../store/index.ts";
import { defineEvent } from "../definitions.ts";

const progress = z.object({
  batchId: z.string(),
  type: z.string(),
  state: z.string(),
  total: z.number(),
  succeeded: z.number(),
  failed: z.number(),
  cancelled: z.number(),
});

/** A batch was accepted. In the commit that makes it visible. */
export const batchAccepted = defineEvent("batch.accepted", progress);

/** How far a batch is; once a second at most while it runs. In the commit that counted the items. */
export const batchProgressed = defineEvent("batch.progress", progress);

/** A batch has ended: `state` is completed, failed (every item did) or cancelled. */
export const batchCompleted = defineEvent("batch.completed", progress);

/** What these events say of `batch`. */
export function progressOf(batch: BatchRecord) {
  const { id, type, state, total, succeeded, failed, cancelled } = batch;
  return { batchId: id, type, state, total, succeeded, failed, cancelled };
}
