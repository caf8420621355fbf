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
