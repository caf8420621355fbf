import { defineJob, type JobDefinition, type Transaction } from "apiforge";
import { z } from "zod";

import type { settlePriceInput } from "./settle-price.ts";

/** A batch that ended a while ago, and the message up to which it has been looked through. */
export const leftoversInput = z.object({ batchId: z.string(), after: z.string() });

/** Rows of one commit: few enough that nobody waits for it. */
const rowsAtOnce = 200;

/**
 * The job that has the prices asked for of which no callback led to: Twilio posts each callback
 * once, and this server may have been down.
 */
export function settleLeftoversJob(
  settlePrice: JobDefinition<typeof settlePriceInput>,
): JobDefinition<typeof leftoversInput> {
  const job: JobDefinition<typeof leftoversInput> = defineJob("settle-leftover-prices", {
    queue: "message-prices",
    input: leftoversInput,
    run: async ({ input: { batchId, after }, ...context }) => {
      await context.complete(async (tx) => {
        const rows = await unpriced(tx, batchId, after);
        for (const { message_key: key, sid } of rows) {
          await tx.enqueue(settlePrice, { key, sid }, { dedupeKey: key });
        }
        const last = rows.at(-1)?.message_key;
        if (last !== undefined && rows.length === rowsAtOnce) {
          await tx.enqueue(job, { batchId, after: last });
        }
      });
    },
  });
  return job;
}

/** Messages that Twilio took and whose price is not known, in the order of their keys. */
async function unpriced(
  tx: Transaction,
  batchId: string,
  after: string,
): Promise<readonly { readonly message_key: string; readonly sid: string }[]> {
  return tx.sql<{ message_key: string; sid: string }>`
    select message_key, sid from message_sends
    where batch_id = ${batchId} and message_key > ${after}
      and price_micros is null and sid is not null
    order by message_key limit ${rowsAtOnce}`;
}
