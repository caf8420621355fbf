import { defineJob, exponential, type JobDefinition } from "apiforge";
import { z } from "zod";

import type { Crm } from "./ports.ts";

/** What the customer relations system is told about an appointment. */
export const crmAppointmentInput = z.object({
  appointmentId: z.string(),
  practiceId: z.string(),
  patientId: z.string(),
  date: z.string(),
  time: z.string(),
  type: z.string(),
});

/** The job that tells the customer relations system, on a queue that nothing else can fill. */
export function crmAppointmentJob(crm: Crm): JobDefinition<typeof crmAppointmentInput> {
  return defineJob("clinic-crm-appointment", {
    queue: "crm",
    input: crmAppointmentInput,
    attempts: 12,
    backoff: exponential("2s", { max: "1h" }),
    timeout: "15s",
    run: ({ input, signal, idempotencyKey }) =>
      crm.recordAppointment(input, { signal, idempotencyKey }),
  });
}
