import { defineJob, exponential, type JobDefinition } from "apiforge";
import { z } from "zod";

import type { Mailer } from "./mailer.ts";
import { insertCode } from "./registrations-table.ts";

const input = z.object({ registrationId: z.string() });
export type VerificationMailJob = JobDefinition<typeof input>;

/**
 * The job that mails a code to whoever registers. The code is made by the attempt that sends it, so
 * that no row of the store ever holds one.
 */
export function verificationMailJob(mailer: Mailer): VerificationMailJob {
  return defineJob("public-api-verification-mail", {
    queue: "mail",
    input,
    attempts: 6,
    backoff: exponential("2s"),
    timeout: "30s",
    run: async ({ input: { registrationId }, idempotencyKey, commit }) => {
      const made = await commit((tx) => insertCode(tx, registrationId));
      if (made === undefined) return;
      await mailer.send({
        to: made.email,
        subject: "Your key for the stations API",
        text: textWith(made.code),
        messageId: `<${idempotencyKey}@public-api.apiforge.dev>`,
      });
    },
  });
}

function textWith(code: string): string {
  return `Somebody, hopefully you, asked for a key of the stations API with this address.
Send this code within 24 hours to get it:

POST /public-api/registrations/verify
{"code":"${code}"}

If it was not you, ignore this mail: without the code there is no key.
`;
}
