import { defineJob, exponential, type JobDefinition } from "apiforge";
import { z } from "zod";

import type { PatientMessages } from "./ports.ts";

/** A message to a patient, ready to be sent. */
export const patientMessageInput = z.object({ to: z.string(), body: z.string() });

/** The job that sends a message to a patient, on a queue that nothing else can fill. */
export function patientMessageJob(
  messages: PatientMessages,
): JobDefinition<typeof patientMessageInput> {
  return defineJob("clinic-patient-message", {
    queue: "patient-messages",
    input: patientMessageInput,
    attempts: 8,
    backoff: exponential("2s", { max: "10m" }),
    timeout: "15s",
    run: ({ input, signal, idempotencyKey }) => messages.send(input, { signal, idempotencyKey }),
  });
}
