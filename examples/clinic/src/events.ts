import { defineEvent } from "apiforge";
import { z } from "zod";

/** A slot was booked. Who hears of it stands in `consumers.ts`. */
export const appointmentBooked = defineEvent(
  "APPOINTMENT_BOOKED",
  z.object({
    appointmentId: z.string(),
    practiceId: z.string(),
    patientId: z.string(),
    slotId: z.string(),
    date: z.string(),
    time: z.string(),
    type: z.string(),
  }),
);

/**
 * Somebody asked for a patient of another practice. It belongs to the practice of whoever asked, so
 * it does not name the patient's.
 */
export const crossTenantAccess = defineEvent(
  "security.cross_tenant_access",
  z.object({ subject: z.string(), practiceId: z.string(), patientId: z.string() }),
);
