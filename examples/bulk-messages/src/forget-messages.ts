import { defineJob, type JobDefinition, type Transaction } from "apiforge";
import { z } from "zod";

/** A batch whose messages are past their retention. */
export const forgetInput = z.object({ batchId: z.string() });

/** Rows of one commit: few enough that nobody waits for it. */
const rowsAtOnce = 1_000;

/** The job that deletes the messages of an old batch, a bounded number per commit. */
export function forgetMessagesJob(): JobDefinition<typeof forgetInput> {
  const job: JobDefinition<typeof forgetInput> = defineJob("forget-messages", {
    queue: "message-prices",
    input: forgetInput,
    run: async ({ input, ...context }) => {
      await context.complete(async (tx) => {
        const deleted = await deleteSome(tx, input.batchId);
        if (deleted === rowsAtOnce) await tx.enqueue(job, input);
        else await tx.sql`delete from message_reports where batch_id = ${input.batchId}`;
      });
    },
  });
  return job;
}

async function deleteSome(tx: Transaction, batchId: string): Promise<number> {
  const rows = await tx.sql`
    delete from message_sends where message_key in (
      select message_key from message_sends where batch_id = ${batchId} limit ${rowsAtOnce})
    returning 1 as gone`;
  return rows.length;
}
