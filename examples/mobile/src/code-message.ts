import { defineJob, exponential, type JobDefinition } from "apiforge";
import { z } from "zod";

import { insertCode } from "./log-ins-table.ts";
import type { TextMessages } from "./ports.ts";

const input = z.object({ logInId: z.string() });
export type CodeMessageJob = JobDefinition<typeof input>;

/**
 * The job that sends the code of a log-in, once that is committed. The attempt makes the code, so
 * that neither a job's input nor a table ever holds one.
 */
export function codeMessageJob(texts: TextMessages): CodeMessageJob {
  return defineJob("mobile-code-message", {
    queue: "codes",
    input,
    attempts: 5,
    backoff: exponential("1s"),
    timeout: "15s",
    run: async ({ input: { logInId }, idempotencyKey, signal, commit }) => {
      const made = await commit((tx) => insertCode(tx, logInId));
      if (made === undefined) return;
      const body = `${made.code} is your code. We never ask for it by phone.`;
      await texts.send({ to: made.phone, body }, { signal, idempotencyKey });
    },
  });
}
